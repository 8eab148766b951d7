//! One manager per profile, by spec and by label.

use std::borrow::Cow;

use super::{Change, Effect, Phase, Problem, Report, Rule, Value, syntax};
use crate::{field::FieldPath, profile::Field};

/// `cluster-manager-name`
pub static NAME: Rule = Rule {
    name: "cluster-manager-name",
    summary: "`spec.clusterManager.name` is set and is a label value: 1 to 63 of `[A-Za-z0-9._-]`, alphanumeric at both ends",
    source: "KEP-4322 Cluster Manager: the label must equal it, so it must be able to; v1alpha2 schema",
    effect: Effect::Deny,
    exceptions: "",
    fix: "",
    phase: Phase::Validate,
    since: "0.1.0",
    docs: include_str!("cluster_manager/name.md"),
    check: name,
};

fn name<'a>(change: &Change<'a>, report: &mut Report<'a>) {
    let Some(profile) = change.identity() else { return };
    match profile.cluster_manager() {
        Some(name) if syntax::is_segment(name) => {}
        Some(name) if name.is_empty() => report.deny(name_path(), required()),
        Some(name) => report.deny(
            name_path(),
            Problem::Invalid(
                Value::of(name),
                "must be a label value: 1 to 63 letters, digits, '-', '_' or '.', alphanumeric at both ends".into(),
            ),
        ),
        None if is_mistyped(change) => {}
        None => report.deny(name_path(), required()),
    }
}

fn required() -> Problem<'static> {
    Problem::Required("must name the cluster manager that keeps this profile up to date".into())
}
