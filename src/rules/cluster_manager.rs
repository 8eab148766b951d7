//! `cluster-manager-*`: each profile has one cluster manager, the same in spec and label.

use crate::{
    field_path::FieldPath,
    profile::{ClusterProfile, Field},
    redact::quote,
    review::{Change, Effect, Part, Problem, Reporter, Rule, Value, Wording},
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

fn name<'a>(change: &Change<'a>, reporter: &mut Reporter<'_, 'a>) {
    let Some(profile) = change.metadata_and_spec() else { return };
    // No user can correct a stored name: `cluster-manager-immutable` denies every change.
    let is_stored = |name: &str| stored_name(change) == Some(name) && !change.is_deletion();
    match profile.cluster_manager() {
        Some(name) if syntax::is_segment(name) => {}
        Some(name) if name.is_empty() => {
            let detail = if is_stored(name) { STORED_EMPTY } else { NAME_REQUIRED };
            reporter.report(name_path(), Problem::Empty(detail.into()));
        }
        Some(name) => {
            let detail = if is_stored(name) { STORED_INVALID } else { LABEL_VALUE };
            reporter.report(name_path(), Problem::Invalid(Value::of(name), detail.into()));
        }
        None if is_mistyped(profile) => {}
        None => reporter.report(name_path(), Problem::Required(NAME_REQUIRED.into())),
    }
}

const NAME_REQUIRED: &str = "must name the cluster manager that owns this profile";

const LABEL_VALUE: &str = "must be a valid label value: up to 63 letters, digits, '-', '_' or '.', starting and ending with a \
                           letter or digit";

const STORED_EMPTY: &str = "must not be empty, and cannot be changed; delete the profile and create it again";
const STORED_INVALID: &str =
    "must be a valid label value, and cannot be changed; delete the profile and create it again";

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

fn immutable<'a>(change: &Change<'a>, reporter: &mut Reporter<'_, 'a>) {
    let Some(stored) = stored_name(change) else { return };
    let Some(profile) = change.metadata_and_spec() else { return };
    match profile.cluster_manager() {
        Some(name) if name == stored => {}
        Some(name) => {
            let detail = if syntax::is_segment(stored) {
                format!(
                    "must stay {}. To hand the cluster over, delete this profile; the new manager creates another",
                    quote(stored)
                )
            } else {
                format!("cannot be changed from {}; delete the profile and create it again", quote(stored))
            };
            reporter.report(name_path(), Problem::Invalid(Value::of(name), detail.into()));
        }
        None if is_mistyped(profile) => {}
        None => {
            let detail = format!("cannot be removed; must stay {}", quote(stored));
            reporter.report(name_path(), Problem::Required(detail.into()));
        }
    }
}

/// `cluster-manager-label`
pub(crate) static LABEL: Rule = Rule {
    name: "cluster-manager-label",
    summary: "label `x-k8s.io/cluster-manager` equals `spec.clusterManager.name`, so neither can change; a repair is allowed",
    source: "KEP-4322 Cluster Manager; conformance \"Required\"",
    effect: Effect::Deny,
    fix: "absent: set to the name, on CREATE and UPDATE, when the name is valid; with a warning where it was removed; never \
          overwritten",
    since: "0.1.0",
    docs: include_str!("docs/cluster-manager-label.md"),
    check: label,
    ..Rule::VALIDATING
};

fn label<'a>(change: &Change<'a>, reporter: &mut Reporter<'_, 'a>) {
    let Some(profile) = change.metadata_and_spec() else { return };
    let Some(manager) = profile.cluster_manager() else { return };
    let path = || FieldPath::of(&["metadata", "labels"]).key("x-k8s.io/cluster-manager");
    match profile.labels().map_or(&Field::Absent, |labels| &labels.cluster_manager) {
        Field::Set(label) if label == manager => {}
        Field::Set(label) => {
            let detail = match stored_name(change).filter(|stored| stored == label && syntax::is_segment(stored)) {
                Some(stored) => {
                    format!(
                        "must equal spec.clusterManager.name; keep the label, and change that name back to {}",
                        quote(stored)
                    )
                }
                None => requirement(change, manager) + advice(change, manager),
            };
            reporter.report(path, Problem::Invalid(Value::of(label), detail.into()));
        }
        Field::Absent if syntax::is_segment(manager) && !profile.has_mistyped_labels() => {
            let name = quote(manager);
            let requirement = requirement(change, manager);
            if change.is_deletion() {
                // Nothing is filled in on an object that is being deleted.
                let is_moved = stored_name(change).is_some_and(|stored| stored != manager);
                let advice = if is_moved { String::new() } else { format!("; set it to {name}") };
                let warning = format!("missing, so consumers that select by it lose the profile{advice}");
                reporter.report_as(Effect::Warn, path, Problem::Required(Wording::new(requirement, warning)));
            } else {
                reporter.report(path, Problem::Required(requirement.into()));
            }
            // Without metadata there is nothing to add a label to, and the API server stores no such object.
            if profile.metadata.set().is_some() {
                let warning = stored_label(change).map(|stored| {
                    if stored == manager.as_ref() {
                        format!("cannot be removed; restored to {name}").into()
                    } else {
                        format!("missing, set to {name}, the name in spec.clusterManager").into()
                    }
                });
                reporter.fix(path, manager.as_ref(), warning);
            }
        }
        Field::Absent | Field::Mistyped(_) => {}
    }
}

/// What the label must equal: the name that the profile keeps, as `cluster-manager-immutable` says of the same write.
fn requirement(change: &Change<'_>, manager: &str) -> String {
    const NAME: &str = "must equal spec.clusterManager.name";
    match stored_name(change) {
        Some(stored) if stored != manager && syntax::is_segment(stored) => {
            format!("{NAME}, which must stay {}", quote(stored))
        }
        Some(stored) if !syntax::is_segment(stored) => NAME.to_owned(),
        _ if !syntax::is_segment(manager) => NAME.to_owned(),
        _ => format!("{NAME} ({})", quote(manager)),
    }
}

/// What to do about a wrong label. Where the name is wrong as well, that comes first.
fn advice(change: &Change<'_>, manager: &str) -> &'static str {
    match stored_name(change) {
        Some(stored) if !syntax::is_segment(stored) && !change.is_deletion() => {
            "; delete the profile and create it again with a valid name"
        }
        Some(stored) if !syntax::is_segment(stored) || stored != manager => "",
        _ if !syntax::is_segment(manager) => "; correct that name first",
        _ if stored_label(change).is_some_and(|stored| stored == manager) => "; leave the stored label as it is",
        _ if change.is_deletion() => "",
        _ => "; remove the label, and the webhook sets it",
    }
}

fn stored_name<'a>(change: &Change<'a>) -> Option<&'a str> {
    change.old.and_then(ClusterProfile::cluster_manager).map(AsRef::as_ref)
}

/// The stored label, if the write can remove it. The author of such a write needs a warning: `kubectl label` prints "unlabeled"
/// although the label is set again. A manifest may leave out what others have set.
fn stored_label<'c>(change: &'c Change<'_>) -> Option<&'c str> {
    let labels = change.old.and_then(ClusterProfile::labels)?;
    (change.part == Part::Main).then(|| labels.cluster_manager.text()).flatten()
}

fn name_path<'a>() -> FieldPath<'a> {
    FieldPath::of(&["spec", "clusterManager", "name"])
}

/// Whether `field-type` reports why there is no name.
fn is_mistyped(profile: &ClusterProfile<'_>) -> bool {
    let manager = profile.spec.set().map(|spec| &spec.cluster_manager);
    let name = manager.and_then(Field::set).map(|manager| &manager.name);
    profile.spec.mistyped().or(manager.and_then(Field::mistyped)).or(name.and_then(Field::mistyped)).is_some()
}
