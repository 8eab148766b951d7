//! `access-credential-providers`: the deprecated list.

use super::is_used;
use crate::{
    field_path::FieldPath,
    profile::{AccessProvider, Items, List},
    review::{Change, Effect, Problem, Reporter, Rule, Value},
};

/// `access-credential-providers`
pub(crate) static CREDENTIAL_PROVIDERS: Rule = Rule {
    name: "access-credential-providers",
    summary: "the deprecated `credentialProviders` is not used",
    source: "upstream types: deprecated in v1alpha1, gone in v1alpha2",
    effect: Effect::Warn,
    since: "0.1.0",
    docs: include_str!("../docs/access-credential-providers.md"),
    check: credential_providers,
    ..Rule::VALIDATING
};

fn credential_providers<'a>(change: &Change<'a>, reporter: &mut Reporter<'_, 'a>) {
    let Some(status) = change.status() else { return };
    if is_used(&status.credential_providers, Items::is_empty, change) {
        let names = Value::Hidden(names(&status.credential_providers).into());
        let detail = "deprecated, and gone in v1alpha2; use accessProviders";
        let problem = Problem::Forbidden(names, detail.into());
        reporter.report(FieldPath::of(&["status", "credentialProviders"]), problem);
    }
}

/// The names in a list, sorted: another order is no other list.
fn names(providers: &List<'_, AccessProvider<'_>>) -> String {
    let mut names: Vec<_> = providers.items().map(|(_, provider)| provider.name.text().unwrap_or_default()).collect();
    names.sort_unstable();
    names.join("\n")
}
