//! What a refusal or a warning is about.

use serde_json::Value;

use super::case::{Cause, Warned};

/// The causes of a `Status`.
pub(crate) fn causes(status: &Value) -> Vec<Cause> {
    let causes = status["details"]["causes"].as_array().into_iter().flatten();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let causes = causes.map(|cause| Cause {
        rule: rule_in(&text(&cause["message"])).unwrap_or_default().to_owned(),
        reason: text(&cause["reason"]),
        field: text(&cause["field"]),
    });
    causes.collect()
}

/// What a warning of the form `field: text [rule]` is about; none where it is not the webhook's.
pub(crate) fn warning(text: &str) -> Option<Warned> {
    let field = text.split(": ").next().unwrap_or_default();
    Some(Warned { rule: rule_in(text)?.to_owned(), field: field.to_owned() })
}

fn rule_in(text: &str) -> Option<&str> {
    text.rsplit_once('[')?.1.strip_suffix(']').filter(|rule| *rule != "clusterprofile-webhook")
}
