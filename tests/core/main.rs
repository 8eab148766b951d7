//! The library and `check`, without a server: recorded, random and hostile input.
//!
//! Its global allocator counts allocations, so that [`fuzz`] can bound the memory of a review. No other program has
//! that allocator.

mod ca_bundles;
mod check;
mod fuzz;
mod manifest;
mod recorded;
mod secrets;
