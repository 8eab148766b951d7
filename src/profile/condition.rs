//! Condition types and statuses that the API defines.

use super::{Condition, Field, Json};

/// The condition types that KEP-4322 predefines. Both describe the health of the member cluster.
pub(crate) const PREDEFINED: [&str; 2] = ["ControlPlaneHealthy", "Joined"];

/// The valid statuses of a condition (`metav1.ConditionStatus`).
pub(crate) const STATUSES: &[&str] = &["True", "False", "Unknown"];

impl<'a> Condition<'a> {
    /// Returns the status. A boolean counts as the string that /mutate replaces it with.
    pub(crate) fn status_value(self) -> Option<&'a str> {
        match self.status() {
            Field::Set(status) => Some(status),
            Field::Mistyped(Json::Boolean(true)) => Some("True"),
            Field::Mistyped(Json::Boolean(false)) => Some("False"),
            Field::Absent | Field::Mistyped(_) => None,
        }
    }
}
