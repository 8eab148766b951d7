//! Harnesses of the fuzz targets. `fuzz/` runs them without end, `tests/core/fuzz.rs` a bounded number of times.

mod admission;
mod cost;
mod differential;

pub use self::{
    admission::admission,
    cost::{Allocated, Lists, cost, grown},
    differential::differential,
};
