//! What the webhook asks the API server, its own certificates aside.

pub mod client;
pub mod permissions;
