//! The client of the API server, and permission checks with it.

pub mod client;
pub mod permissions;
