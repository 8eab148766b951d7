//! The catalog: every rule, in the order in which findings are reported.
//!
//! A rule is in the file that its prefix names; its page is in `src/rules/docs/`.

use jiff::{Timestamp, ToSpan as _};

use crate::{
    field_path::FieldPath,
    profile::ListedText,
    review::{Change, Effect, Problem, Reporter, Rule, Value, Wording},
    suggest::unknown,
    syntax::rfc3339,
};

mod access;
mod cluster_manager;
mod condition;
mod display_name;
mod field_type;
mod inventory_member_id;
mod kubernetes_version;
mod name_prefix;
mod property;
mod status_ignored;

/// Every rule, in the order in which findings are reported.
pub static RULES: &[&Rule] = &[
    &field_type::FIELD_TYPE,
    &cluster_manager::NAME,
    &cluster_manager::IMMUTABLE,
    &cluster_manager::LABEL,
    &inventory_member_id::MEMBER_ID,
    &inventory_member_id::MEMBER_ID_CHANGED,
    &display_name::DISPLAY_NAME,
    &status_ignored::STATUS_IGNORED,
    &name_prefix::NAME_PREFIX,
    &property::NAME,
    &property::UNIQUE,
    &property::VALUE,
    &property::OBSERVED_TIME,
    &property::RESERVED_SUFFIX,
    &property::CLUSTER_ID,
    &property::CLUSTER_ID_CHANGED,
    &condition::TYPE,
    &condition::TYPE_SPELLING,
    &condition::UNIQUE,
    &condition::STATUS,
    &condition::REASON,
    &condition::MESSAGE,
    &condition::transition::TIME,
    &condition::OBSERVED_GENERATION,
    &condition::transition::TRANSITION,
    &condition::REQUIRED,
    &kubernetes_version::KUBERNETES_VERSION,
    &access::provider::NAME,
    &access::provider::CLUSTER,
    &access::provider::UNIQUE,
    &access::server::SERVER,
    &access::tls::TLS,
    &access::ca::CA,
    &access::proxy::PROXY,
    &access::secret::SECRET,
    &access::exec::EXEC,
    &access::extension::EXTENSION,
    &access::credential_providers::CREDENTIAL_PROVIDERS,
];

/// The rule of that name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Rule> {
    RULES.iter().copied().find(|rule| rule.name == name)
}

/// The rule of that name.
///
/// # Errors
///
/// A message that names the most similar rule, if one is similar.
pub fn named(name: &str) -> Result<&'static Rule, String> {
    let names = RULES.iter().map(|rule| rule.name);
    find(name).ok_or_else(|| unknown("rule", name, names, "`clusterprofile-webhook explain` lists them"))
}

/// Reports a time that is not RFC 3339, and warns about one that is further in the future than clocks differ. Returns whether a
/// time is set and neither is wrong.
fn check_time<'a>(
    time: ListedText<'a>,
    path: impl FnOnce() -> FieldPath<'a>,
    change: &Change<'a>,
    reporter: &mut Reporter<'_, 'a>,
) -> bool {
    let Some(text) = time.text() else { return false };
    match rfc3339(text) {
        None => {
            let detail = "must be RFC 3339, such as 2026-01-31T12:00:00Z";
            reporter.report(path, Problem::Invalid(Value::of(text), detail.into()));
            false
        }
        Some(time) if time > latest(change) => {
            let warning = "more than 5 minutes in the future; check the clock of the client that wrote it";
            let wording = Wording::new("must not be in the future", warning);
            reporter.report_as(Effect::Warn, path, Problem::Invalid(Value::hidden(text), wording));
            false
        }
        Some(_) => true,
    }
}

/// Clocks of member clusters and hub differ by seconds. A time that is minutes ahead is an error.
fn latest(change: &Change<'_>) -> Timestamp {
    change.now.saturating_add(5.minutes()).unwrap_or(Timestamp::MAX)
}
