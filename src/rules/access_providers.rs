//! `status.accessProviders` and the deprecated `status.credentialProviders`: which there are.

use std::cell::OnceCell;

use super::{Change, Effect, Level, Phase, Problem, Report, Rule, Value, syntax};
use crate::{
    field::FieldPath,
    profile::{AccessProvider, Cluster, Field, Items, List, Status, Version},
};

const ACCESS_PROVIDERS: &str = "accessProviders";

/// An item of one of the two lists.
pub(super) struct Item<'a> {
    list: &'static str,
    index: usize,
    pub(super) provider: &'a AccessProvider<'a>,
    /// Made once, for it takes reading the name, and there may be many findings below.
    path: OnceCell<FieldPath<'a>>,
}

impl<'a> Item<'a> {
    pub(super) fn path(&self) -> FieldPath<'a> {
        let path = || FieldPath::of(&["status", self.list]).item(self.index, self.provider.name.text());
        self.path.get_or_init(path).clone()
    }
}

/// Every provider of both lists.
pub(super) fn providers<'a>(change: &Change<'a>) -> impl Iterator<Item = Item<'a>> {
    lists(change).flat_map(|(list, providers)| {
        providers.items().map(move |(index, provider)| Item { list, index, provider, path: OnceCell::new() })
    })
}

/// Whether the provider at the same place in its list, and of the same name, is stored with the same CA data.
pub(super) fn is_stored_ca(item: &Item<'_>, data: &str, change: &Change<'_>) -> bool {
    let stored = change.old_status().and_then(|status| {
        let list = if item.list == ACCESS_PROVIDERS { &status.access_providers } else { &status.credential_providers };
        list.get(item.index).filter(|stored| stored.name == item.provider.name)?.cluster.set()
    });
    stored.is_some_and(|stored| stored.certificate_authority_data.is(data))
}

/// What was judged last: the providers of a cluster nearly always have the same CA data.
pub(super) struct Last<K, V>(Option<(K, V)>);

impl<K: Copy + PartialEq, V: Copy> Last<K, V> {
    pub(super) fn new() -> Self {
        Self(None)
    }

    /// The verdict on `key`, which is judged unless it was the last one.
    pub(super) fn of(&mut self, key: K, judge: impl FnOnce() -> V) -> V {
        let known = self.0.filter(|(last, _)| *last == key);
        self.0.insert(known.unwrap_or_else(|| (key, judge()))).1
    }
}

/// Every provider that has a cluster, with the path of the cluster.
pub(super) fn clusters<'a>(change: &Change<'a>) -> impl Iterator<Item = (Item<'a>, &'a Cluster<'a>)> {
    providers(change).filter_map(|item| {
        let cluster = item.provider.cluster.set()?;
        Some((item, &**cluster))
    })
}

/// What upstream's v1alpha2 refuses and its v1alpha1 must go on accepting.
pub(super) fn denied_by_v1alpha2(change: &Change<'_>) -> Level {
    if change.version >= Version::V1alpha2 { Level::Deny } else { Level::Warn }
}

/// Whether the version has `credentialProviders` and `certificate-authority`.
///
/// Where they are unknown fields, that they are used is told, and nothing in them is judged.
pub(super) fn has_deprecated_fields(change: &Change<'_>) -> bool {
    change.version < Version::V1alpha2
}

/// Whether a deprecated field says anything; what is of a wrong type is told as such where the version has the field.
pub(super) fn is_used<T>(field: &Field<T>, is_empty: impl Fn(&T) -> bool, change: &Change<'_>) -> bool {
    match field {
        Field::Set(value) => !is_empty(value),
        Field::Mistyped(_) => !has_deprecated_fields(change),
        Field::Absent => false,
    }
}

fn lists<'a>(change: &Change<'a>) -> impl Iterator<Item = (&'static str, &'a List<'a, AccessProvider<'a>>)> {
    let count = if has_deprecated_fields(change) { 2 } else { 1 };
    let lists = |status: &'a Status<'a>| {
        [(ACCESS_PROVIDERS, &status.access_providers), ("credentialProviders", &status.credential_providers)]
    };
    change.status().map(lists).into_iter().flatten().take(count)
}

/// `access-provider-name`
pub(super) static NAME: Rule = Rule {
    name: "access-provider-name",
    summary: "every provider has a name of 1 to 253 characters",
    source: "CRD; v1alpha2 schema",
    effect: Effect::Deny,
    exceptions: "v1alpha1: Warn when empty or longer",
    fix: "",
    phase: Phase::Validate,
    since: "0.1.0",
    docs: include_str!("docs/access-provider-name.md"),
    check: name,
};

fn name<'a>(change: &Change<'a>, report: &mut Report<'a>) {
    for item in providers(change) {
        let path = || item.path().field("name");
        let detail = "must name the provider";
        match &item.provider.name {
            Field::Set(name) if name.is_empty() => {
                report.add(denied_by_v1alpha2(change), path, Problem::Empty(detail.into()));
            }
            Field::Set(name)
                if name.len() > syntax::SUBDOMAIN_LIMIT && name.chars().count() > syntax::SUBDOMAIN_LIMIT =>
            {
                let problem = Problem::TooLong(name.as_ref().into(), syntax::SUBDOMAIN_LIMIT);
                report.add(denied_by_v1alpha2(change), path, problem);
            }
            Field::Absent => report.deny(path, Problem::Required(detail.into())),
            Field::Set(_) | Field::Mistyped(_) => {}
        }
    }
}

/// `access-provider-cluster`
pub(super) static CLUSTER: Rule = Rule {
    name: "access-provider-cluster",
    summary: "every provider has a `cluster`, and there are at most 64 providers",
    source: "v1alpha2 schema",
    effect: Effect::Deny,
    exceptions: "v1alpha1: silent",
    fix: "",
    phase: Phase::Validate,
    since: "0.1.0",
    docs: include_str!("docs/access-provider-cluster.md"),
    check: cluster,
};

fn cluster<'a>(change: &Change<'a>, report: &mut Report<'a>) {
    /// v1alpha2 schema: `maxItems` of `accessProviders`.
    const LIMIT: usize = 64;
    let level = if change.version >= Version::V1alpha2 { Level::Deny } else { Level::Silent };
    for item in providers(change) {
        if item.provider.cluster == Field::Absent {
            let problem = Problem::Required("must say how to reach the member cluster".into());
            report.add(level, item.path().field("cluster"), problem);
        }
    }
    for (list, providers) in lists(change) {
        let count = providers.set().map_or(0, Items::len);
        if count > LIMIT {
            report.add(level, FieldPath::of(&["status", list]), Problem::TooMany(count, LIMIT));
        }
    }
}

/// `access-provider-unique`
pub(super) static UNIQUE: Rule = Rule {
    name: "access-provider-unique",
    summary: "no name occurs twice within `accessProviders`, nor within `credentialProviders`",
    source: "CRD list map keys (missing in the CRDs that OCM and KubeFleet bundle)",
    effect: Effect::Deny,
    exceptions: "",
    fix: "",
    phase: Phase::Validate,
    since: "0.1.0",
    docs: include_str!("docs/access-provider-unique.md"),
    check: unique,
};

fn unique<'a>(change: &Change<'a>, report: &mut Report<'a>) {
    for (field, list) in lists(change) {
        let Some(list) = list.set() else { continue };
        for (index, name) in list.repeated(|provider| provider.name.text()) {
            let path = FieldPath::of(&["status", field]).item(index, Some(name)).field("name");
            report.deny(path, Problem::Duplicate(Value::of(name)));
        }
    }
}

/// `access-credential-providers`
pub(super) static CREDENTIAL_PROVIDERS: Rule = Rule {
    name: "access-credential-providers",
    summary: "the deprecated `credentialProviders` is not used",
    source: "upstream types: deprecated in v1alpha1, gone in v1alpha2",
    effect: Effect::Warn,
    exceptions: "",
    fix: "",
    phase: Phase::Validate,
    since: "0.1.0",
    docs: include_str!("docs/access-credential-providers.md"),
    check: credential_providers,
};

fn credential_providers<'a>(change: &Change<'a>, report: &mut Report<'a>) {
    let Some(status) = change.status() else { return };
    if is_used(&status.credential_providers, Items::is_empty, change) {
        let names = Value::Hidden(names(&status.credential_providers).into());
        let problem = Problem::Forbidden(names, "is deprecated: must be accessProviders".into());
        report.warn(FieldPath::of(&["status", "credentialProviders"]), problem);
    }
}

/// The names in a list, in the same order whatever the list's is.
fn names(providers: &List<'_, AccessProvider<'_>>) -> String {
    let mut names: Vec<_> = providers.items().map(|(_, provider)| provider.name.text().unwrap_or_default()).collect();
    names.sort_unstable();
    names.join("\n")
}
