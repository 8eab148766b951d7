//! `access-secret`: a ClusterProfile must not hold secrets.

use std::{cell::OnceCell, collections::HashMap};

use serde::de::IgnoredAny;

use super::{append, extension_path, is_stored_ca, providers, shown};
use crate::{
    field_path::FieldPath,
    json::each_string,
    profile::{Body, Cluster, ClusterProfile, Status},
    redact::{Found, Search, Secret, shows_key},
    review::{Change, Effect, Operation, Problem, Reporter, Rule, Value, Wording},
    syntax::url,
};

pub(crate) static SECRET: Rule = Rule {
    name: "access-secret",
    summary: "no private key (PEM, PGP, PuTTY or DER, also behind base64) in any text of spec, status or annotations, names \
              included; no password in the userinfo of `server` or `proxy-url`; keys named token or secret are fine",
    source: "KEP-4322: a ClusterProfile holds no secrets",
    effect: Effect::Deny,
    exceptions: "Warn for a value shaped like a JWT, and for a query parameter of `server` or `proxy-url` that is named like a \
                 token, password or key",
    since: "0.1.0",
    docs: include_str!("../docs/access-secret.md"),
    check: secret,
    is_about_any_text: true,
    ..Rule::VALIDATING
};

fn secret<'a>(change: &Change<'a>, reporter: &mut Reporter<'_, 'a>) {
    // In the stored object, the field and the annotation both count. Otherwise a write that removes a key from its
    // field is denied because of the copy in the annotation.
    let is_stored = change.operation == Operation::Update && change.old.is_none();
    let mut finder = Finder { is_stored, ..Finder::default() };
    if let Some(profile) = change.metadata_and_spec() {
        finder.identity(profile, reporter);
    }
    if let Some(status) = change.status() {
        finder.status(status, reporter);
    }
    finder.providers(change, reporter);
    finder.report_applied(reporter);
}

/// The annotation in which `kubectl apply` keeps the whole manifest.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Finds secrets. Reports a secret that the last applied manifest repeats only at its own field.
#[derive(Default)]
struct Finder {
    search: Search,
    /// Whether this searches the stored object.
    is_stored: bool,
    /// Secrets of the last applied manifest that no other field has so far: digest to position and kind.
    applied: HashMap<u64, (usize, Secret)>,
}

impl Finder {
    fn identity<'a>(&mut self, profile: &'a ClusterProfile<'a>, reporter: &mut Reporter<'_, 'a>) {
        let annotations = profile.annotations().filter(|annotations| self.search.may_be_in(annotations.text()));
        if let Some(annotations) = annotations {
            self.read_applied(annotations);
        }
        if let Some(spec) = profile.spec.set() {
            let manager = spec.cluster_manager.set().and_then(|manager| manager.name.text());
            self.search_name(manager, || FieldPath::of(&["spec", "clusterManager", "name"]), reporter);
            self.search_field(spec.display_name.text(), || FieldPath::of(&["spec", "displayName"]), reporter);
        }
        let Some(annotations) = annotations else { return };
        annotations.each_member(|name, value| {
            let path = || FieldPath::of(&["metadata", "annotations"]).key(shown(&name));
            self.search_text(&name, path, reporter);
            if name != LAST_APPLIED {
                each_string(value.text(), |_, text| self.search_text(&text, path, reporter));
            }
        });
    }

    fn status<'a>(&mut self, status: &'a Status<'a>, reporter: &mut Reporter<'_, 'a>) {
        let version = status.version.set().and_then(|version| version.kubernetes.text());
        self.search_name(version, || FieldPath::of(&["status", "version", "kubernetes"]), reporter);
        for (index, property) in status.properties.items() {
            let path = || FieldPath::of(&["status", "properties"]).item(index, property.name().text());
            self.search_name(property.name().text(), || path().field("name"), reporter);
            self.search_field(property.value().text(), || path().field("value"), reporter);
            self.search_name(property.last_observed_time().text(), || path().field("lastObservedTime"), reporter);
        }
        for (index, condition) in status.conditions.items() {
            let path = || FieldPath::of(&["status", "conditions"]).item(index, condition.kind().text());
            self.search_name(condition.kind().text(), || path().field("type"), reporter);
            self.search_name(condition.reason().text(), || path().field("reason"), reporter);
            self.search_field(condition.message().text(), || path().field("message"), reporter);
            self.search_name(condition.last_transition_time().text(), || path().field("lastTransitionTime"), reporter);
        }
    }

    fn providers<'a>(&mut self, change: &Change<'a>, reporter: &mut Reporter<'_, 'a>) {
        // The providers of a cluster usually have the same CA data, so the last result is reused.
        let mut last: Option<(&str, bool, Vec<Found>)> = None;
        for item in providers(change) {
            self.search_name(item.provider.name().text(), || item.path().field("name"), reporter);
            let Some(cluster) = item.provider.cluster().into_set() else { continue };
            let path = || item.path().field("cluster");
            self.urls(cluster, path, reporter);
            for (field, text) in [
                ("tls-server-name", cluster.tls_server_name()),
                ("certificate-authority", cluster.certificate_authority()),
            ] {
                self.search_name(text.text(), || path().field(field), reporter);
            }
            if let Some(data) = cluster.certificate_authority_data().text() {
                let is_stored = is_stored_ca(&item, data, change);
                let known = last.take().filter(|last| (last.0, last.1) == (data, is_stored)).map(|last| last.2);
                let found = known
                    .unwrap_or_else(|| if is_stored && !shows_key(data) { Vec::new() } else { self.search.each(data) });
                for found in &found {
                    // The ratchet compares the whole data: a write that changes the data writes the key again.
                    self.exclude_applied(found);
                    report_found(
                        found.secret,
                        path().field("certificate-authority-data"),
                        Value::hidden(data),
                        reporter,
                    );
                }
                last = Some((data, is_stored, found));
            }
            for (index, extension) in cluster.extensions().items() {
                // Built once, because it reads two names and there may be many secrets below.
                let place = OnceCell::new();
                let path = || place.get_or_init(|| extension_path(item.path(), index, extension)).clone();
                self.search_name(extension.name().text(), || path().field("name"), reporter);
                let body = extension.extension().into_set().filter(|body| self.search.may_be_in(body.text()));
                let Some(body) = body else { continue };
                each_string(body.text(), |steps, text| {
                    self.search_text(&text, || append(path().field("extension"), steps), reporter);
                });
            }
        }
    }

    fn urls<'a>(&mut self, cluster: Cluster<'a>, path: impl Fn() -> FieldPath<'a>, reporter: &mut Reporter<'_, 'a>) {
        for (field, url) in [("server", cluster.server()), ("proxy-url", cluster.proxy_url())] {
            let Some(url) = url.text() else { continue };
            let is_denied = url::has_password(url);
            let found = self.search.each(url);
            if is_denied {
                let detail = "must not hold a password; remove it from the URL, and change the password";
                reporter.report(path().field(field), Problem::Forbidden(Value::hidden(url), detail.into()));
            } else if found.is_empty() && url::parse(url).is_some_and(|url| url.has_secret_parameter()) {
                let warning = "may have a token, password or key in its query, which every reader sees; remove it";
                let wording = Wording::new("must not hold a token, password or key in its query", warning);
                reporter.report_as(Effect::Warn, path().field(field), Problem::Forbidden(Value::hidden(url), wording));
            }
            for found in found {
                self.exclude_applied(&found);
                if !is_denied {
                    report_found(found.secret, path().field(field), Value::Digest(found.digest()), reporter);
                }
            }
        }
    }

    /// Searches a name, a time or a version. Nearly all are too short for a key, which is cheaper to see than to search.
    fn search_name<'a>(
        &mut self,
        text: Option<&str>,
        path: impl Fn() -> FieldPath<'a>,
        reporter: &mut Reporter<'_, 'a>,
    ) {
        /// Letters of base64 of the shortest key that the search finds: one of 160 bits in the form of SEC1.
        const SHORTEST_KEY: usize = 36;
        self.search_field(text.filter(|text| text.len() >= SHORTEST_KEY), path, reporter);
    }

    fn search_field<'a>(
        &mut self,
        text: Option<&str>,
        path: impl Fn() -> FieldPath<'a>,
        reporter: &mut Reporter<'_, 'a>,
    ) {
        if let Some(text) = text {
            self.search_text(text, path, reporter);
        }
    }

    fn search_text<'a>(&mut self, text: &str, path: impl Fn() -> FieldPath<'a>, reporter: &mut Reporter<'_, 'a>) {
        if reporter.is_over() {
            return;
        }
        for found in self.search.each(text) {
            self.exclude_applied(&found);
            report_found(found.secret, path(), Value::Digest(found.digest()), reporter);
        }
    }

    /// Searches each string of the last applied manifest in the same way as other fields.
    fn read_applied(&mut self, annotations: Body<'_>) {
        annotations.each_member(|name, value| {
            if name != LAST_APPLIED {
                return;
            }
            each_string(value.text(), |_, manifest| {
                let mut note = |text: &str| {
                    for found in self.search.each(text) {
                        let next = self.applied.len();
                        self.applied.entry(found.digest()).or_insert((next, found.secret));
                    }
                };
                if serde_json::from_str::<IgnoredAny>(&manifest).is_ok() {
                    each_string(&manifest, |_, text| note(&text));
                } else {
                    note(&manifest);
                }
            });
        });
    }

    /// Drops a secret of the last applied manifest that another field also has.
    fn exclude_applied(&mut self, found: &Found) {
        if !self.is_stored {
            self.applied.remove(&found.digest());
        }
    }

    fn report_applied(self, reporter: &mut Reporter<'_, '_>) {
        let mut applied: Vec<_> = self.applied.into_iter().collect();
        applied.sort_unstable_by_key(|(_, (place, _))| *place);
        for (digest, (_, secret)) in applied {
            let path = FieldPath::of(&["metadata", "annotations"]).key(LAST_APPLIED);
            let (effect, wording) = match secret {
                Secret::PrivateKey => {
                    (Effect::Deny, "must not hold a private key; remove it from the manifest, replace the key, and revoke its certificate".into())
                }
                Secret::Token => {
                    let warning = "may hold a token, which every reader sees; revoke it, and remove it from the manifest";
                    (Effect::Warn, Wording::new("must not hold a token: remove it from the manifest", warning))
                }
            };
            reporter.report_as(effect, path, Problem::Forbidden(Value::Digest(digest), wording));
        }
    }
}

fn report_found<'a>(secret: Secret, path: FieldPath<'a>, value: Value<'a>, reporter: &mut Reporter<'_, 'a>) {
    let (effect, wording) = match secret {
        Secret::PrivateKey => {
            (Effect::Deny, "must not hold a private key; remove it, replace the key, and revoke its certificate".into())
        }
        Secret::Token => {
            let warning = "may hold a token, which every reader sees; if so, revoke it, and reference a Secret instead";
            (Effect::Warn, Wording::new("must not hold a token", warning))
        }
    };
    reporter.report_as(effect, path, Problem::Forbidden(value, wording));
}
