//! What `access-*` rules share: the items of `status.accessProviders` and the deprecated `status.credentialProviders`.

use std::{borrow::Cow, cell::OnceCell};

use crate::{
    field_path::FieldPath,
    json::Step,
    profile::{AccessProvider, Cluster, Extension, Field, List, Status, Version},
    redact::{self, HIDDEN},
    review::{Change, Effect},
};

pub(super) mod ca;
pub(super) mod credential_providers;
pub(super) mod exec;
pub(super) mod extension;
pub(super) mod provider;
pub(super) mod proxy;
pub(super) mod secret;
pub(super) mod server;
pub(super) mod tls;

const ACCESS_PROVIDERS: &str = "accessProviders";

/// An item of one of the two lists.
pub(super) struct Item<'a> {
    list: &'static str,
    index: usize,
    pub(super) provider: AccessProvider<'a>,
    /// Made once: it takes reading the name, and there may be many findings below.
    path: OnceCell<FieldPath<'a>>,
}

impl<'a> Item<'a> {
    pub(super) fn path(&self) -> FieldPath<'a> {
        let path = || FieldPath::of(&["status", self.list]).item(self.index, self.provider.name().text());
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
        list.get(item.index).filter(|stored| stored.name() == item.provider.name())?.cluster().into_set()
    });
    stored.is_some_and(|stored| stored.certificate_authority_data().is(data))
}

/// The last verdict, kept because the providers of a cluster nearly always have the same CA data.
pub(super) struct Memo<K, V>(Option<(K, V)>);

impl<K: Copy + PartialEq, V: Copy> Memo<K, V> {
    pub(super) fn new() -> Self {
        Self(None)
    }

    /// The verdict on `key`; `judge` makes it unless `key` was the last one.
    pub(super) fn of(&mut self, key: K, judge: impl FnOnce() -> V) -> V {
        let known = self.0.filter(|(last, _)| *last == key);
        self.0.insert(known.unwrap_or_else(|| (key, judge()))).1
    }
}

/// Every provider that has a cluster, with the path of the cluster.
pub(super) fn clusters<'a>(change: &Change<'a>) -> impl Iterator<Item = (Item<'a>, Cluster<'a>)> {
    providers(change).filter_map(|item| {
        let cluster = item.provider.cluster().into_set()?;
        Some((item, cluster))
    })
}

/// The effect of what upstream's v1alpha2 refuses and its v1alpha1 keeps accepting.
pub(super) fn denied_by_v1alpha2(change: &Change<'_>) -> Effect {
    if change.version >= Version::V1alpha2 { Effect::Deny } else { Effect::Warn }
}

/// Whether the version has `credentialProviders` and `certificate-authority`.
///
/// Where they are unknown fields, rules report that they are used, and judge nothing in them.
pub(super) fn has_deprecated_fields(change: &Change<'_>) -> bool {
    change.version < Version::V1alpha2
}

/// Whether a deprecated field is used. `field-type` reports a wrong type where the version has the field.
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

/// Maximum length of a URL in v1alpha2.
const URL_LIMIT: usize = 2048;

/// The path of an extension of the provider at `provider`.
pub(super) fn extension_path<'a>(provider: FieldPath<'a>, index: usize, extension: Extension<'a>) -> FieldPath<'a> {
    provider.field("cluster").field("extensions").item(index, extension.name().text())
}

/// `path`, and the steps from there. The digest of the place has no indices: removing an item moves later ones, and is no
/// change of them.
pub(super) fn append<'a>(path: FieldPath<'a>, steps: &[Step<'a>]) -> FieldPath<'a> {
    steps.iter().fold(path, |path, step| match step {
        Step::Member(name) => path.key(name.shown(shown)),
        Step::Item(index) => path.item(*index, Some("")),
    })
}

/// A name that an author chose, as far as a path may show it.
pub(super) fn shown<'a>(name: &Cow<'a, str>) -> Cow<'a, str> {
    /// Longer than the names of environment variables in use; a token is longer still.
    const LENGTH: usize = 63;
    let is_shown = name.len() <= LENGTH && !name.contains(char::is_control) && !redact::is_secret(name);
    if is_shown { name.clone() } else { Cow::Borrowed(HIDDEN) }
}
