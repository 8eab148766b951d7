//! `kubernetes-version`: the member cluster's Kubernetes version.

use crate::{
    field_path::FieldPath,
    review::{Change, Effect, Problem, Reporter, Rule, Value, Wording},
};

/// `kubernetes-version`
pub(crate) static KUBERNETES_VERSION: Rule = Rule {
    name: "kubernetes-version",
    summary: "`status.version.kubernetes` is empty or begins with `v?N.N` and has no spaces; it is never normalized",
    source: "KEP-4322 Version",
    effect: Effect::Warn,
    since: "0.1.0",
    docs: include_str!("docs/kubernetes-version.md"),
    check: kubernetes_version,
    yields_to_health: true,
    ..Rule::VALIDATING
};

fn kubernetes_version<'a>(change: &Change<'a>, reporter: &mut Reporter<'_, 'a>) {
    let Some(version) = change.status().and_then(|status| status.version.set()?.kubernetes.set()) else { return };
    if !version.is_empty() && !is_version(version) {
        let path = FieldPath::of(&["status", "version", "kubernetes"]);
        let warning = "is not a version that consumers can compare; write it like v1.34.1";
        let wording = Wording::new("must be like v1.34.1, without spaces", warning);
        reporter.report(path, Problem::Invalid(Value::of(version), wording));
    }
}

fn is_version(text: &str) -> bool {
    let after_digits = |text: &'_ str| {
        let rest = text.trim_start_matches(|digit: char| digit.is_ascii_digit());
        (rest.len() < text.len()).then_some(text.len() - rest.len())
    };
    let text = text.strip_prefix('v').unwrap_or(text);
    let minor = after_digits(text).and_then(|major| text.get(major..)?.strip_prefix('.'));
    minor.and_then(after_digits).is_some() && !text.contains(char::is_whitespace)
}
