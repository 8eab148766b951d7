//! `condition-transition*`: `lastTransitionTime` is the time of the last change of the condition's status.

use super::{
    conditions, item,
    stored::{Stored, fill_in},
};
use crate::{
    profile::Field,
    redact::quote,
    review::{Change, Effect, Problem, Reporter, Rule, Value},
    rules::check_time,
    syntax,
};

/// `condition-transition-time`
pub(crate) static TIME: Rule = Rule {
    name: "condition-transition-time",
    summary: "`lastTransitionTime` is RFC 3339",
    source: "CRD; API conventions",
    effect: Effect::Deny,
    exceptions: "Warn when more than 5 minutes in the future",
    fix: "absent: the stored one while the status is unchanged, else the time of the request",
    since: "0.1.0",
    docs: include_str!("../docs/condition-transition-time.md"),
    check: time,
    ..Rule::VALIDATING
};

fn time<'a>(change: &Change<'a>, reporter: &mut Reporter<'_, 'a>) {
    let stored = Stored::of(change);
    for (index, condition) in conditions(change) {
        let path = || item(index, condition).field("lastTransitionTime");
        if condition.last_transition_time() == Field::Absent {
            reporter
                .report(path, Problem::Required("must be the time of the last change of status, in RFC 3339".into()));
            let before = stored.unchanged(condition).and_then(|stored| stored.last_transition_time().text());
            match before.filter(|time| syntax::rfc3339(time).is_some()) {
                Some(before) => fill_in(&stored, condition, path, before, None, reporter),
                // Without a status it is unknown whether that changed, and each write would get another time.
                None if condition.status_value().is_none() => {}
                None => {
                    let now = change.now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
                    fill_in(&stored, condition, path, now, None, reporter);
                }
            }
        }
        check_time(condition.last_transition_time(), path, change, reporter);
    }
}

/// `condition-transition`
pub(crate) static TRANSITION: Rule = Rule {
    name: "condition-transition",
    summary: "`lastTransitionTime` changes exactly when `status` does",
    source: "API conventions (two cluster managers in use do not follow them)",
    effect: Effect::Off,
    since: "0.1.0",
    docs: include_str!("../docs/condition-transition.md"),
    check: transition,
    ..Rule::VALIDATING
};

fn transition<'a>(change: &Change<'a>, reporter: &mut Reporter<'_, 'a>) {
    /// More than a time with nanoseconds and an offset needs. A longer one is not compared, because one stored time may be read
    /// for each of many conditions.
    const LONGEST: usize = 64;
    let stored = Stored::of(change);
    for (index, condition) in conditions(change) {
        let Some(last) = stored.condition(condition) else { continue };
        let (Some(time), Some(before)) = (condition.last_transition_time().text(), last.last_transition_time().text())
        else {
            continue;
        };
        if before.len() > LONGEST {
            continue;
        }
        let time_moved = match (syntax::rfc3339(time), syntax::rfc3339(before)) {
            (Some(time), Some(before)) => time != before,
            _ => continue,
        };
        let status_moved = condition.status_value() != last.status_value();
        let detail = match (status_moved, time_moved) {
            (true, false) => "must change together with status".to_owned(),
            (false, true) => format!("must stay {} because status is unchanged", quote(before)),
            _ => continue,
        };
        // CRDs without list-map keys store a type twice: each of both is compared with the first.
        if !stored.has(condition) {
            let path = item(index, condition).field("lastTransitionTime");
            reporter.report(path, Problem::Invalid(Value::of(time), detail.into()));
        }
    }
}
