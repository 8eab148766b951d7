//! What the rest of metadata and spec say of a member cluster.

use super::{
    Change, Effect, Operation, Part, Phase, Problem, Report, Rule, Value, problem::quote, syntax::SUBDOMAIN_LIMIT,
};
use crate::{
    field::FieldPath,
    profile::{ClusterProfile, Field, Json, Text},
};

/// `inventory-member-id`
pub(super) static MEMBER_ID: Rule = Rule {
    name: "inventory-member-id",
    summary: "label `multicluster.x-k8s.io/inventory-member-id`, when set, is not empty",
    source: "v1alpha2 types: MUST",
    effect: Effect::Deny,
    exceptions: "",
    fix: "",
    phase: Phase::Validate,
    since: "0.1.0",
    docs: include_str!("docs/inventory-member-id.md"),
    check: member_id,
};

fn member_id<'a>(change: &Change<'a>, report: &mut Report<'a>) {
    let Some(profile) = change.identity() else { return };
    if member_id_of(profile).is("") {
        let detail = "must not be empty";
        report.deny(member_id_path(), Problem::Invalid(Value::of(""), detail.into()));
    }
}

/// `inventory-member-id-changed`
pub(super) static MEMBER_ID_CHANGED: Rule = Rule {
    name: "inventory-member-id-changed",
    summary: "label `multicluster.x-k8s.io/inventory-member-id` equals the stored one",
    source: "v1alpha2 types: SHOULD",
    effect: Effect::Warn,
    exceptions: "",
    fix: "",
    phase: Phase::Validate,
    since: "0.1.0",
    docs: include_str!("docs/inventory-member-id-changed.md"),
    check: member_id_changed,
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

/// `display-name`
pub(super) static DISPLAY_NAME: Rule = Rule {
    name: "display-name",
    summary: "`spec.displayName` has no control characters",
    source: "KEP-4322 Display name",
    effect: Effect::Warn,
    exceptions: "",
    fix: "absent on CREATE with a known `metadata.name`: set to it; never with `generateName` alone, never on UPDATE",
    phase: Phase::Validate,
    since: "0.1.0",
    docs: include_str!("docs/display-name.md"),
    check: display_name,
};

fn display_name<'a>(change: &Change<'a>, report: &mut Report<'a>) {
    let Some(spec) = change.identity().and_then(|profile| profile.spec.set()) else { return };
    let path = || FieldPath::of(&["spec", "displayName"]);
    match &spec.display_name {
        Field::Set(name) if name.contains(char::is_control) => {
            report.warn(path, Problem::Invalid(Value::of(name), "must not have control characters".into()));
        }
        Field::Absent if change.operation == Operation::Create => {
            // What is longer is no name: only who is no API server sends it, and has it in the answer.
            let is_name = |name: &&str| (1..=SUBDOMAIN_LIMIT).contains(&name.len());
            if let Some(name) = change.new.metadata.set().and_then(|metadata| metadata.name.text()).filter(is_name) {
                report.fix(path, name, None);
            }
        }
        Field::Set(_) | Field::Absent | Field::Mistyped(_) => {}
    }
}

/// `status-ignored`
pub(super) static STATUS_IGNORED: Rule = Rule {
    name: "status-ignored",
    summary: "a write of the main resource brings no status of its own: none on CREATE, the stored one on UPDATE",
    source: "API server: a status on the main resource is dropped",
    effect: Effect::Warn,
    exceptions: "",
    fix: "",
    phase: Phase::Mutate,
    since: "0.1.0",
    docs: include_str!("docs/status-ignored.md"),
    check: status_ignored,
};

fn status_ignored<'a>(change: &Change<'a>, report: &mut Report<'a>) {
    if change.part != Part::Main || *change.status_field() == Field::Absent {
        return;
    }
    let is_boolean = |status: &Text<'_>| matches!(status, Field::Mistyped(Json::Boolean(_)));
    let boolean =
        change.status().is_some_and(|status| status.conditions.items().any(|(_, item)| is_boolean(&item.status)));
    let detail = if boolean {
        "must be written with --subresource=status, a condition's status in quotes"
    } else {
        "must be written to the status subresource (--subresource=status)"
    };
    report.warn(FieldPath::of(&["status"]), Problem::Dropped(detail));
}
