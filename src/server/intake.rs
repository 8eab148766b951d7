//! What a review needs before it runs: memory for its body, and a turn if it takes long.

pub(super) use self::body_budget::{BodyBudget, Received, Unreviewed};

mod body_budget;
pub(super) mod fair;
pub(super) mod pool;
pub(super) mod turns;
