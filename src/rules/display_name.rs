//! `display-name`: what people read in tables and on terminals.

use crate::{
    field_path::FieldPath,
    profile::Field,
    review::{Change, Effect, Operation, Problem, Reporter, Rule, Value, Wording},
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

fn display_name<'a>(change: &Change<'a>, reporter: &mut Reporter<'_, 'a>) {
    let Some(spec) = change.metadata_and_spec().and_then(|profile| profile.spec.set()) else { return };
    let path = || FieldPath::of(&["spec", "displayName"]);
    match &spec.display_name {
        Field::Set(name) if name.contains(char::is_control) => {
            let warning = "has control characters, which break tables and terminals; remove them";
            let wording = Wording::new("must not have control characters", warning);
            reporter.report(path, Problem::Invalid(Value::of(name), wording));
        }
        Field::Absent if change.operation == Operation::Create => {
            // A longer one is no name, and would be in the response: no API server sends it.
            let is_name = |name: &&str| (1..=SUBDOMAIN_LIMIT).contains(&name.len());
            if let Some(name) = change.new.metadata.set().and_then(|metadata| metadata.name.text()).filter(is_name) {
                reporter.fix(path, name, None);
            }
        }
        Field::Set(_) | Field::Absent | Field::Mistyped(_) => {}
    }
}
