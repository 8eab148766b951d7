//! `name-prefix`

use crate::{
    field_path::FieldPath,
    profile::ClusterProfile,
    redact::quote,
    review::{Change, Effect, Problem, Reporter, Rule, Value},
};

/// `name-prefix`
pub(crate) static NAME_PREFIX: Rule = Rule {
    name: "name-prefix",
    summary: "`metadata.name` starts with the cluster manager's name and `-`",
    source: "KEP-4322 Example 2 (a recommendation; a cluster manager with upper case in its name cannot follow it)",
    effect: Effect::Off,
    since: "0.1.0",
    docs: include_str!("docs/name-prefix.md"),
    check: name_prefix,
    ..Rule::VALIDATING
};

fn name_prefix<'a>(change: &Change<'a>, reporter: &mut Reporter<'_, 'a>) {
    let Some(profile) = change.metadata_and_spec() else { return };
    let Some(manager) = profile.cluster_manager() else { return };
    let Some(name) = profile.metadata.set().and_then(|metadata| metadata.name.set()) else { return };
    if !name.strip_prefix(manager.as_ref()).is_some_and(|rest| rest.starts_with('-')) {
        // `cluster-manager-immutable` says to keep the stored name.
        let is_moved = change.old.and_then(ClusterProfile::cluster_manager).is_some_and(|stored| stored != manager);
        let shown = if is_moved { String::new() } else { format!(" {}", quote(manager)) };
        let detail = format!("must start with the cluster manager's name{shown} and a hyphen");
        reporter.report(FieldPath::of(&["metadata", "name"]), Problem::Invalid(Value::of(name), detail.into()));
    }
}
