//! `inventory-member-id`, `inventory-member-id-changed`: by what an inventory knows the cluster.

use crate::{
    field_path::FieldPath,
    profile::{ClusterProfile, Field, Text},
    redact::quote,
    review::{Change, Effect, Problem, Report, Rule, Value},
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

fn member_id<'a>(change: &Change<'a>, report: &mut Report<'a>) {
    let Some(profile) = change.identity() else { return };
    if member_id_of(profile).is("") {
        let detail = "must not be empty";
        report.deny(member_id_path(), Problem::Invalid(Value::of(""), detail.into()));
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

fn member_id_changed<'a>(change: &Change<'a>, report: &mut Report<'a>) {
    let Some(profile) = change.identity() else { return };
    let Some(stored) = change.old.and_then(|old| member_id_of(old).set()).filter(|id| !id.is_empty()) else { return };
    let detail = || format!("must stay {}", quote(stored)).into();
    match member_id_of(profile) {
        Field::Set(id) if id != stored => report.warn(member_id_path(), Problem::Invalid(Value::of(id), detail())),
        Field::Absent if !profile.has_mistyped_labels() => {
            report.warn(member_id_path(), Problem::Required(detail()));
        }
        Field::Set(_) | Field::Absent | Field::Mistyped(_) => {}
    }
}

fn member_id_of<'p, 'a>(profile: &'p ClusterProfile<'a>) -> &'p Text<'a> {
    profile.labels().map_or(&Field::Absent, |labels| &labels.inventory_member_id)
}

fn member_id_path<'a>() -> FieldPath<'a> {
    FieldPath::of(&["metadata", "labels"]).key("multicluster.x-k8s.io/inventory-member-id")
}
