//! Rule and field of causes and warnings.

use serde_json::Value;

use crate::case::{Cause, Warned};

/// The causes of a `Status`, the body of a denial.
pub fn causes(status: &Value) -> Vec<Cause> {
    let causes = status["details"]["causes"].as_array().into_iter().flatten();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let causes = causes.map(|cause| Cause {
        rule: rule_in(&text(&cause["message"])).unwrap_or_default().to_owned(),
        reason: text(&cause["reason"]),
        field: text(&cause["field"]),
    });
    causes.collect()
}

/// Parses a warning of the webhook, `field: text [rule]`. Returns `None` for other warnings.
pub fn warning(text: &str) -> Option<Warned> {
    let field = text.split(": ").next().unwrap_or_default();
    Some(Warned { rule: rule_in(text)?.to_owned(), field: field.to_owned() })
}

fn rule_in(text: &str) -> Option<&str> {
    text.rsplit_once('[')?.1.strip_suffix(']').filter(|rule| *rule != "clusterprofile-webhook")
}
