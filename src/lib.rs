//! Admission webhook for the ClusterProfile API.
pub mod field;
pub mod profile;
