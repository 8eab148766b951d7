//! Fixes as one JSON Patch.

use json_patch::{AddOperation, Patch, PatchOperation, jsonptr::PointerBuf};
use serde_json::{Value, json};

use crate::{profile::ClusterProfile, review::Fix};

/// The patch (RFC 6902) that fills in `fixes` in `new`, where there are any.
///
/// `add` sets a member whether it is absent, null or a boolean. A missing `metadata.labels` is created together with its label:
/// an operation whose parent is missing would fail the write under any failure policy.
#[must_use]
pub fn patch(fixes: &[Fix<'_>], new: &ClusterProfile<'_>) -> Option<Patch> {
    const LABELS: &str = "/metadata/labels";
    let operations = fixes.iter().map(|fix| {
        let pointer = fix.path.pointer();
        match pointer.strip_prefix(LABELS) {
            Some(_) if new.labels().is_none() => add(LABELS, json!({ fix.path.last(): fix.value })),
            _ => add(&pointer, json!(fix.value)),
        }
    });
    (!fixes.is_empty()).then(|| Patch(operations.collect()))
}

fn add(pointer: &str, value: Value) -> PatchOperation {
    let path = PointerBuf::parse(pointer).expect("a field path renders as a JSON Pointer");
    PatchOperation::Add(AddOperation { path, value })
}
