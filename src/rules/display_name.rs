//! `display-name`

use crate::{
    field_path::FieldPath,
    profile::Field,
    review::{Change, Effect, Operation, Problem, Report, Rule, Value},
    syntax::SUBDOMAIN_LIMIT,
};

/// `display-name`
pub(crate) static DISPLAY_NAME: Rule = Rule {
    name: "display-name",
    summary: "`spec.displayName` has no control characters",
    source: "KEP-4322 Display name",
    effect: Effect::Warn,
    fix: "absent on CREATE with a known `metadata.name`: set to it; never with `generateName` alone, never on UPDATE",
    since: "0.1.0",
    docs: include_str!("docs/display-name.md"),
    check: display_name,
    ..Rule::VALIDATING
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
