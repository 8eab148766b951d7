//! The catalogue: every rule, in the order in which findings are told.

use super::{
    Rule, access_providers, cluster_data, cluster_manager, conditions, extensions, field_type, inventory, properties,
    secrets, transitions, version,
};

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

/// The rule whose name is most like `name`, where one is like it at all.
#[must_use]
pub fn nearest(name: &str) -> Option<&'static Rule> {
    let distance = |rule: &&Rule| distance(name, rule.name);
    RULES.iter().copied().min_by_key(distance).filter(|rule| distance(rule) <= name.len() / 2)
}

/// How many letters must be inserted, removed or replaced to make one text the other (Levenshtein).
fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (line, letter) in one.bytes().enumerate() {
        let mut diagonal = line;
        let mut left = line + 1;
        for (cell, other) in row.iter_mut().skip(1).zip(other.bytes()) {
            left = (diagonal + usize::from(letter != other)).min(left + 1).min(*cell + 1);
            diagonal = std::mem::replace(cell, left);
        }
        if let Some(first) = row.first_mut() {
            *first = line + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}
