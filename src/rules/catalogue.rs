//! The catalogue: every rule, in the order in which findings are told.

use super::{
    Rule, access_providers, cluster_data, cluster_manager, conditions, extensions, field_type, inventory, properties,
    secrets, transitions, version,
};
use crate::nearest::unknown;

/// Every rule, in the order in which findings are told.
pub static RULES: &[&Rule] = &[
    &field_type::FIELD_TYPE,
    &cluster_manager::NAME,
    &cluster_manager::IMMUTABLE,
    &cluster_manager::LABEL,
    &inventory::MEMBER_ID,
    &inventory::MEMBER_ID_CHANGED,
    &inventory::DISPLAY_NAME,
    &inventory::STATUS_IGNORED,
    &cluster_manager::NAME_PREFIX,
    &properties::NAME,
    &properties::UNIQUE,
    &properties::VALUE,
    &properties::OBSERVED_TIME,
    &properties::RESERVED_SUFFIX,
    &properties::CLUSTER_ID,
    &properties::CLUSTER_ID_CHANGED,
    &conditions::TYPE,
    &conditions::TYPE_SPELLING,
    &conditions::UNIQUE,
    &conditions::STATUS,
    &conditions::REASON,
    &conditions::MESSAGE,
    &transitions::TIME,
    &conditions::OBSERVED_GENERATION,
    &transitions::TRANSITION,
    &conditions::REQUIRED,
    &version::KUBERNETES_VERSION,
    &access_providers::NAME,
    &access_providers::CLUSTER,
    &access_providers::UNIQUE,
    &cluster_data::SERVER,
    &cluster_data::TLS,
    &cluster_data::CA,
    &cluster_data::PROXY,
    &secrets::SECRET,
    &extensions::EXEC,
    &extensions::EXTENSION,
    &access_providers::CREDENTIAL_PROVIDERS,
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
/// What to say where there is none: the nearest, if one is like it.
pub fn named(name: &str) -> Result<&'static Rule, String> {
    let names = RULES.iter().map(|rule| rule.name);
    find(name).ok_or_else(|| unknown("rule", name, names, "`clusterprofile-webhook explain` lists them"))
}
