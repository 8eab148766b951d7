//! What the API says of conditions.

use super::{Condition, Field, Json};

/// The types that KEP-4322 predefines, both about the health of the cluster.
pub(crate) const PREDEFINED: [&str; 2] = ["ControlPlaneHealthy", "Joined"];

/// The values of a condition's status (`metav1.ConditionStatus`).
pub(crate) const STATUSES: &[&str] = &["True", "False", "Unknown"];

impl<'a> Condition<'a> {
    /// The condition's status, with a boolean as the string that it becomes.
    pub(crate) fn status_value(self) -> Option<&'a str> {
        match self.status() {
            Field::Set(status) => Some(status),
            Field::Mistyped(Json::Boolean(true)) => Some("True"),
            Field::Mistyped(Json::Boolean(false)) => Some("False"),
            Field::Absent | Field::Mistyped(_) => None,
        }
    }
}
