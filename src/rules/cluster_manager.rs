//! One cluster manager per profile, the same by spec and by label.

use crate::{
    field_path::FieldPath,
    profile::{ClusterProfile, Field},
    redact::quote,
    review::{Change, Effect, Level, Part, Problem, Report, Rule, Value},
    syntax,
};

/// `cluster-manager-name`
pub(crate) static NAME: Rule = Rule {
    name: "cluster-manager-name",
    summary: "`spec.clusterManager.name` is set and is a label value: 1 to 63 of `[A-Za-z0-9._-]`, alphanumeric at both ends",
    source: "KEP-4322 Cluster Manager (the label must equal it, so it must be able to); v1alpha2 schema",
    effect: Effect::Deny,
    since: "0.1.0",
    docs: include_str!("docs/cluster-manager-name.md"),
    check: name,
    ..Rule::VALIDATING
};

fn name<'a>(change: &Change<'a>, report: &mut Report<'a>) {
    let Some(profile) = change.identity() else { return };
    match profile.cluster_manager() {
        Some(name) if syntax::is_segment(name) => {}
        Some(name) if name.is_empty() => report.deny(name_path(), Problem::Empty(NAME_REQUIRED.into())),
        Some(name) => {
            report.deny(name_path(), Problem::Invalid(Value::of(name), label_value(name).into()));
        }
        None if is_mistyped(profile) => {}
        None => report.deny(name_path(), Problem::Required(NAME_REQUIRED.into())),
    }
}

const NAME_REQUIRED: &str = "must name the cluster manager that owns this profile";

/// What a name lacks that is no label value.
fn label_value(name: &str) -> &'static str {
    if !name.chars().all(|letter| letter.is_ascii_alphanumeric() || "-_.".contains(letter)) {
        "must be a label value of [A-Za-z0-9._-]"
    } else if name.len() > syntax::SEGMENT_LIMIT {
        "must be a label value of at most 63 characters"
    } else {
        "must be a label value: a letter or digit at both ends"
    }
}

/// `cluster-manager-immutable`
pub(crate) static IMMUTABLE: Rule = Rule {
    name: "cluster-manager-immutable",
    summary: "`spec.clusterManager.name` equals the stored one",
    source: "KEP-4322 Spec; CRD validation rule",
    effect: Effect::Deny,
    since: "0.1.0",
    docs: include_str!("docs/cluster-manager-immutable.md"),
    check: immutable,
    ..Rule::VALIDATING
};

fn immutable<'a>(change: &Change<'a>, report: &mut Report<'a>) {
    let Some(stored) = change.old.and_then(ClusterProfile::cluster_manager) else { return };
    let Some(profile) = change.identity() else { return };
    let detail = || format!("must stay {}: create a new profile", quote(stored)).into();
    match profile.cluster_manager() {
        Some(name) if name == stored => {}
        Some(name) => report.deny(name_path(), Problem::Invalid(Value::of(name), detail())),
        None if is_mistyped(profile) => {}
        None => report.deny(name_path(), Problem::Required(detail())),
    }
}

/// `cluster-manager-label`
pub(crate) static LABEL: Rule = Rule {
    name: "cluster-manager-label",
    summary: "label `x-k8s.io/cluster-manager` equals `spec.clusterManager.name`, so that neither can move; a repair is allowed",
    source: "KEP-4322 Cluster Manager; conformance \"Required\"",
    effect: Effect::Deny,
    fix: "absent: set, on CREATE and UPDATE, when the name is valid, with a warning where it was removed; never overwritten",
    since: "0.1.0",
    docs: include_str!("docs/cluster-manager-label.md"),
    check: label,
    ..Rule::VALIDATING
};

fn label<'a>(change: &Change<'a>, report: &mut Report<'a>) {
    let Some(profile) = change.identity() else { return };
    let Some(name) = profile.cluster_manager() else { return };
    let path = || FieldPath::of(&["metadata", "labels"]).key("x-k8s.io/cluster-manager");
    match profile.labels().map_or(&Field::Absent, |labels| &labels.cluster_manager) {
        Field::Set(label) if label == name => {}
        Field::Set(label) => report.deny(
            path,
            Problem::Invalid(Value::of(label), format!("must equal spec.clusterManager.name {}", quote(name)).into()),
        ),
        Field::Absent if syntax::is_segment(name) && !profile.has_mistyped_labels() => {
            // Of an object that is being deleted nothing is filled in.
            let level = if change.is_deletion() { Level::Warn } else { Level::Deny };
            let detail = format!("must equal spec.clusterManager.name {}", quote(name));
            report.add(level, path, Problem::Required(detail.into()));
            // Without metadata there is nothing to add a label to, and no API server that would store it.
            if profile.metadata.set().is_some() {
                report.fix(path, name.as_ref(), is_removed(change).then_some(REMOVED));
            }
        }
        Field::Absent | Field::Mistyped(_) => {}
    }
}

/// What kubectl would hide, which says "unlabeled" although the label is there again.
const REMOVED: &str = "was removed, set again to spec.clusterManager.name";

/// Whether the write takes away what is stored; a manifest leaves out what others have set.
fn is_removed(change: &Change<'_>) -> bool {
    let stored = change.old.and_then(ClusterProfile::labels).map_or(&Field::Absent, |labels| &labels.cluster_manager);
    change.part == Part::Main && stored.set().is_some()
}

fn name_path<'a>() -> FieldPath<'a> {
    FieldPath::of(&["spec", "clusterManager", "name"])
}

/// Whether `field-type` tells already why there is no name.
fn is_mistyped(profile: &ClusterProfile<'_>) -> bool {
    let manager = profile.spec.set().map(|spec| &spec.cluster_manager);
    let name = manager.and_then(Field::set).map(|manager| &manager.name);
    profile.spec.mistyped().or(manager.and_then(Field::mistyped)).or(name.and_then(Field::mistyped)).is_some()
}
