//! `condition-*`: what `metav1.Condition` requires of `status.conditions`, and the two predefined types.

use std::borrow::Cow;

use self::stored::{Stored, fill_in};
use crate::{
    field_path::FieldPath,
    profile::{
        Condition, Field, Json,
        condition::{PREDEFINED, STATUSES},
    },
    review::{Change, Effect, Operation, Part, Problem, Reporter, Rule, Value, Wording},
    syntax,
};

mod stored;
pub(crate) mod transition;

/// `condition-type`
pub(crate) static TYPE: Rule = Rule {
    name: "condition-type",
    summary: "set, at most 316 characters, `CamelCase` or `foo.example.com/CamelCase`",
    source: "metav1.Condition",
    effect: Effect::Deny,
    since: "0.1.0",
    docs: include_str!("docs/condition-type.md"),
    check: kind,
    ..Rule::VALIDATING
};

fn kind<'a>(change: &Change<'a>, reporter: &mut Reporter<'_, 'a>) {
    /// `metav1.Condition`: `maxLength` of a type.
    const LIMIT: usize = 316;
    for (index, condition) in conditions(change) {
        let path = || item(index, condition).field("type");
        match condition.kind() {
            Field::Set(kind) if kind.len() <= LIMIT && syntax::is_condition_type(kind) => {}
            Field::Set(kind) if syntax::is_longer(kind, LIMIT) => {
                reporter.report(path, Problem::TooLong(kind.into(), LIMIT));
            }
            Field::Set(kind) if !kind.is_empty() => {
                let detail = "must be CamelCase, such as Joined or example.com/Joined";
                reporter.report(path, Problem::Invalid(Value::of(kind), detail.into()));
            }
            Field::Set(_) => reporter.report(path, Problem::Empty("must name the condition".into())),
            Field::Absent => reporter.report(path, Problem::Required("must name the condition".into())),
            Field::Mistyped(_) => {}
        }
    }
}

/// `condition-type-spelling`
pub(crate) static TYPE_SPELLING: Rule = Rule {
    name: "condition-type-spelling",
    summary: "a type that equals `ControlPlaneHealthy` or `Joined` but for case, spaces, dashes or underscores is spelled so",
    source: "KEP-4322 predefined condition types",
    effect: Effect::Warn,
    since: "0.1.0",
    docs: include_str!("docs/condition-type-spelling.md"),
    check: type_spelling,
    ..Rule::VALIDATING
};

fn type_spelling<'a>(change: &Change<'a>, reporter: &mut Reporter<'_, 'a>) {
    let is_variant = |kind: &str, predefined: &str| {
        let mut letters = kind.chars().filter(|letter| !matches!(letter, ' ' | '-' | '_'));
        predefined.chars().all(|expected| letters.next().is_some_and(|letter| letter.eq_ignore_ascii_case(&expected)))
            && letters.next().is_none()
    };
    for (index, condition) in conditions(change) {
        let Some(kind) = condition.kind().text() else { continue };
        let meant = PREDEFINED.into_iter().find(|predefined| kind != *predefined && is_variant(kind, predefined));
        if let Some(meant) = meant {
            let warning = format!("is not found by consumers, which look for {meant:?}; use that spelling");
            let wording = Wording::new(format!("must be spelled {meant:?}"), warning);
            reporter.report(item(index, condition).field("type"), Problem::Invalid(Value::of(kind), wording));
        }
    }
}

/// `condition-unique`
pub(crate) static UNIQUE: Rule = Rule {
    name: "condition-unique",
    summary: "no type occurs twice",
    source: "CRD list map keys (missing in the CRDs that OCM and KubeFleet bundle)",
    effect: Effect::Deny,
    since: "0.1.0",
    docs: include_str!("docs/condition-unique.md"),
    check: unique,
    ..Rule::VALIDATING
};

fn unique<'a>(change: &Change<'a>, reporter: &mut Reporter<'_, 'a>) {
    let Some(list) = change.status().and_then(|status| status.conditions.set()) else { return };
    for (index, kind) in list.repeated(|condition| condition.kind().text()) {
        let path = FieldPath::of(&["status", "conditions"]).item(index, Some(kind)).field("type");
        reporter.report(path, Problem::Duplicate(Value::of(kind)));
    }
}

/// `condition-status`
pub(crate) static STATUS: Rule = Rule {
    name: "condition-status",
    summary: "`\"True\"`, `\"False\"` or `\"Unknown\"`",
    source: "CRD; the example of KEP-4322 has booleans",
    effect: Effect::Deny,
    fix: "a JSON boolean: its string, with a warning to quote it (an unquoted boolean also makes the API server drop all \
          `managedFields` on CREATE, and before Kubernetes 1.37 on UPDATE)",
    since: "0.1.0",
    docs: include_str!("docs/condition-status.md"),
    check: status,
    ..Rule::VALIDATING
};

fn status<'a>(change: &Change<'a>, reporter: &mut Reporter<'_, 'a>) {
    let stored = Stored::of(change);
    for (index, condition) in conditions(change) {
        let path = || item(index, condition).field("status");
        match condition.status() {
            Field::Set(status) if STATUSES.contains(&status) => {}
            Field::Set(status) => reporter.report(path, Problem::NotSupported(Value::of(status), STATUSES)),
            Field::Absent => {
                reporter.report(path, Problem::Required("must be \"True\", \"False\" or \"Unknown\"".into()));
            }
            Field::Mistyped(json) => {
                let quoted = condition.status_value().filter(|_| matches!(json, Json::Boolean(_)));
                let detail = match quoted {
                    Some(status) => format!("must be a string: put it in quotes, {status:?}").into(),
                    None => "must be the string \"True\", \"False\" or \"Unknown\"".into(),
                };
                reporter.report(path, Problem::TypeInvalid(Value::Json(json), detail));
                if let Some(status) = quoted {
                    fill_in(
                        &stored,
                        condition,
                        path,
                        status,
                        unless_dropped(change, quote_it(change, status)),
                        reporter,
                    );
                }
            }
        }
    }
}

/// What was done to a boolean, and why to quote it. From Kubernetes 1.37 on, an UPDATE keeps the stored managedFields.
fn quote_it(change: &Change<'_>, status: &str) -> &'static str {
    match (change.operation, status) {
        (Operation::Create, "True") => {
            "the boolean true was changed to \"True\". Write \"True\" with quotes, or the API server drops managedFields"
        }
        (Operation::Create, _) => {
            "the boolean false was changed to \"False\". Write \"False\" with quotes, or the API server drops managedFields"
        }
        (Operation::Update, "True") => {
            "the boolean true was changed to \"True\". Write \"True\" with quotes, or API servers before 1.37 drop managedFields"
        }
        (Operation::Update, _) => {
            "the boolean false was changed to \"False\". Write \"False\" with quotes, or API servers before 1.37 drop managedFields"
        }
    }
}

/// `condition-reason`
pub(crate) static REASON: Rule = Rule {
    name: "condition-reason",
    summary: "1 to 1024 characters, `[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?`",
    source: "CRD; the example of KEP-4322 has none",
    effect: Effect::Deny,
    fix: "absent: `Unspecified`, or the stored one while the status is unchanged; with a warning",
    since: "0.1.0",
    docs: include_str!("docs/condition-reason.md"),
    check: reason,
    ..Rule::VALIDATING
};

fn reason<'a>(change: &Change<'a>, reporter: &mut Reporter<'_, 'a>) {
    /// `metav1.Condition`: `maxLength` of a reason.
    const LIMIT: usize = 1024;
    let is_sound = |reason: &str| reason.len() <= LIMIT && syntax::is_reason(reason);
    let stored = Stored::of(change);
    for (index, condition) in conditions(change) {
        let path = || item(index, condition).field("reason");
        match condition.reason() {
            Field::Set(reason) if is_sound(reason) => {}
            Field::Set(reason) if syntax::is_longer(reason, LIMIT) => {
                reporter.report(path, Problem::TooLong(reason.into(), LIMIT));
            }
            Field::Set(reason) if !reason.is_empty() => {
                reporter.report(path, Problem::Invalid(Value::of(reason), REASON_REQUIRED.into()));
            }
            Field::Set(_) => reporter.report(path, Problem::Empty(REASON_REQUIRED.into())),
            Field::Absent => {
                reporter.report(path, Problem::Required(REASON_REQUIRED.into()));
                let before = stored.unchanged(condition).and_then(|stored| stored.reason().text());
                let before = before.filter(|reason| is_sound(reason));
                let kept = "missing, set to the stored reason. Give one CamelCase word, such as \"ClusterRegistered\"";
                let set = "missing, set to \"Unspecified\". Give one CamelCase word, such as \"ClusterRegistered\"";
                let (reason, warning) = before.map_or(("Unspecified", set), |before| (before, kept));
                fill_in(&stored, condition, path, reason, unless_dropped(change, warning), reporter);
            }
            Field::Mistyped(_) => {}
        }
    }
}

const REASON_REQUIRED: &str = "must be one CamelCase word, such as \"ClusterRegistered\"";

/// `condition-message`
pub(crate) static MESSAGE: Rule = Rule {
    name: "condition-message",
    summary: "a string of at most 32768 code points",
    source: "CRD",
    effect: Effect::Deny,
    fix: "absent: `\"\"`",
    since: "0.1.0",
    docs: include_str!("docs/condition-message.md"),
    check: message,
    ..Rule::VALIDATING
};

fn message<'a>(change: &Change<'a>, reporter: &mut Reporter<'_, 'a>) {
    /// `metav1.Condition`: `maxLength` of a message.
    const LIMIT: usize = 32_768;
    let stored = Stored::of(change);
    for (index, condition) in conditions(change) {
        let path = || item(index, condition).field("message");
        match condition.message() {
            Field::Set(message) if syntax::is_longer(message, LIMIT) => {
                reporter.report(path, Problem::TooLong(message.into(), LIMIT));
            }
            Field::Set(_) => {}
            Field::Absent => {
                reporter.report(path, Problem::Required("must be set; it may be empty".into()));
                fill_in(&stored, condition, path, "", None, reporter);
            }
            Field::Mistyped(json) => {
                reporter.report(path, Problem::no_string(&json));
            }
        }
    }
}

/// `condition-observed-generation`
pub(crate) static OBSERVED_GENERATION: Rule = Rule {
    name: "condition-observed-generation",
    summary: "an integer of at least 0",
    source: "CRD",
    effect: Effect::Deny,
    since: "0.1.0",
    docs: include_str!("docs/condition-observed-generation.md"),
    check: observed_generation,
    ..Rule::VALIDATING
};

fn observed_generation<'a>(change: &Change<'a>, reporter: &mut Reporter<'_, 'a>) {
    for (index, condition) in conditions(change) {
        let path = || item(index, condition).field("observedGeneration");
        let detail = "must be an integer >= 0";
        match condition.observed_generation() {
            Field::Set(generation @ ..0) => {
                reporter.report(path, Problem::Invalid(Value::Bare(generation), detail.into()));
            }
            Field::Mistyped(json) => reporter.report(path, Problem::TypeInvalid(Value::Json(json), detail.into())),
            Field::Set(_) | Field::Absent => {}
        }
    }
}

/// `condition-required`
pub(crate) static REQUIRED: Rule = Rule {
    name: "condition-required",
    summary: "`ControlPlaneHealthy` and `Joined` are present wherever there is a status",
    source: "KEP-4322; conformance \"Optional\"",
    effect: Effect::Off,
    since: "0.1.0",
    docs: include_str!("docs/condition-required.md"),
    check: required,
    ..Rule::VALIDATING
};

fn required<'a>(change: &Change<'a>, reporter: &mut Reporter<'_, 'a>) {
    let Some(status) = change.status() else { return };
    for kind in PREDEFINED.into_iter().filter(|kind| status.condition(kind).is_none()) {
        reporter.report(
            FieldPath::of(&["status", "conditions"]),
            Problem::Required(format!("must have a condition of type {kind:?}").into()),
        );
    }
}

/// The warning, except on the main resource: there the API server drops the fix with the status, and `status-ignored` warns.
fn unless_dropped(change: &Change<'_>, warning: &'static str) -> Option<Cow<'static, str>> {
    (change.part != Part::Main).then_some(Cow::Borrowed(warning))
}

pub(super) fn conditions<'a>(change: &Change<'a>) -> impl Iterator<Item = (usize, Condition<'a>)> {
    change.status().into_iter().flat_map(|status| status.conditions.items())
}

pub(super) fn item(index: usize, condition: Condition<'_>) -> FieldPath<'_> {
    FieldPath::of(&["status", "conditions"]).item(index, condition.kind().text())
}
