//! Admission webhook for the ClusterProfile API.
pub mod admission;
pub mod field;
pub mod profile;
pub mod rules;
