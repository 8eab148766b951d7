//! `inventory-member-id`, `inventory-member-id-changed`: the label that identifies the member cluster.

use crate::{
    field_path::FieldPath,
    profile::{ClusterProfile, Field, Text},
    redact::quote,
    review::{Change, Effect, Problem, Reporter, Rule, Value, Wording},
};

/// `inventory-member-id`
pub(crate) static MEMBER_ID: Rule = Rule {
    name: "inventory-member-id",
    summary: "label `multicluster.x-k8s.io/inventory-member-id`, when set, is not empty",
    source: "v1alpha2 types: MUST",
    effect: Effect::Deny,
    since: "0.1.0",
    docs: include_str!("docs/inventory-member-id.md"),
    check: member_id,
    ..Rule::VALIDATING
};

fn member_id<'a>(change: &Change<'a>, reporter: &mut Reporter<'_, 'a>) {
    let Some(profile) = change.metadata_and_spec() else { return };
    if member_id_of(profile).is("") {
        // `inventory-member-id-changed` says to keep a stored id.
        let is_known = change.old.and_then(|old| member_id_of(old).set()).is_some_and(|id| !id.is_empty());
        let detail = if is_known { "must not be empty" } else { "must not be empty; set the id or remove the label" };
        reporter.report(member_id_path(), Problem::Invalid(Value::of(""), detail.into()));
    }
}

/// `inventory-member-id-changed`
pub(crate) static MEMBER_ID_CHANGED: Rule = Rule {
    name: "inventory-member-id-changed",
    summary: "label `multicluster.x-k8s.io/inventory-member-id` equals the stored one",
    source: "v1alpha2 types: SHOULD",
    effect: Effect::Warn,
    since: "0.1.0",
    docs: include_str!("docs/inventory-member-id-changed.md"),
    check: member_id_changed,
    ..Rule::VALIDATING
};

fn member_id_changed<'a>(change: &Change<'a>, reporter: &mut Reporter<'_, 'a>) {
    let Some(profile) = change.metadata_and_spec() else { return };
    let Some(known) = change.old.and_then(|old| member_id_of(old).set()).filter(|id| !id.is_empty()) else { return };
    let wording = |before: &str, after: &str| {
        let stored = quote(known);
        let lost = "consumers keep records by this id and lose them";
        let warning = format!("{before} {stored}{after}: {lost}; keep {stored} for the same cluster");
        Wording::new(format!("must stay {stored}"), warning)
    };
    match member_id_of(profile) {
        Field::Set(id) if id == known => {}
        Field::Set(id) => {
            reporter.report(member_id_path(), Problem::Invalid(Value::of(id), wording("replaces", "")));
        }
        Field::Absent if !profile.has_mistyped_labels() => {
            reporter.report(member_id_path(), Problem::Required(wording("removed (was", ")")));
        }
        Field::Absent | Field::Mistyped(_) => {}
    }
}

fn member_id_of<'p, 'a>(profile: &'p ClusterProfile<'a>) -> &'p Text<'a> {
    profile.labels().map_or(&Field::Absent, |labels| &labels.inventory_member_id)
}

fn member_id_path<'a>() -> FieldPath<'a> {
    FieldPath::of(&["metadata", "labels"]).key("multicluster.x-k8s.io/inventory-member-id")
}
