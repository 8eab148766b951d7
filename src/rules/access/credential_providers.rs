//! `access-credential-providers`: the deprecated list.

use super::is_used;
use crate::{
    digest,
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
        let names = Value::Digest(names(&status.credential_providers));
        let detail = "deprecated, and gone in v1alpha2; use accessProviders";
        let problem = Problem::Forbidden(names, detail.into());
        reporter.report(FieldPath::of(&["status", "credentialProviders"]), problem);
    }
}

/// A digest of the names in a list, the same in any order.
fn names<'a>(providers: &'a List<'a, AccessProvider<'a>>) -> u64 {
    let names = providers.items().map(|(_, provider)| provider.name().text().unwrap_or_default());
    names.map(digest::of).fold(0, u64::wrapping_add)
}
