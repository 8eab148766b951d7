//! `status-ignored`

use crate::{
    field_path::FieldPath,
    profile::{Field, Json, ListedText},
    review::{Change, Effect, Part, Phase, Problem, Reporter, Rule},
};

/// `status-ignored`
pub(crate) static STATUS_IGNORED: Rule = Rule {
    name: "status-ignored",
    summary: "a write of the main resource brings no status of its own: none on CREATE, the stored one on UPDATE",
    source: "API server: it drops the status of a write of the main resource",
    effect: Effect::Warn,
    phase: Phase::Mutate,
    since: "0.1.0",
    docs: include_str!("docs/status-ignored.md"),
    check: status_ignored,
    ..Rule::VALIDATING
};

fn status_ignored<'a>(change: &Change<'a>, reporter: &mut Reporter<'_, 'a>) {
    if change.part != Part::Main || *change.status_field() == Field::Absent {
        return;
    }
    let is_boolean = |status: ListedText<'_>| matches!(status, Field::Mistyped(Json::Boolean(_)));
    let boolean =
        change.status().is_some_and(|status| status.conditions.items().any(|(_, item)| is_boolean(item.status())));
    let detail = if boolean {
        "quote each condition's status (\"True\"), then use \"kubectl apply --server-side --subresource=status\""
    } else {
        "this request cannot change it. Use \"kubectl apply --server-side --subresource=status\""
    };
    reporter.report(FieldPath::of(&["status"]), Problem::Dropped(detail));
}
