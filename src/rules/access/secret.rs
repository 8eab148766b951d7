//! `access-secret`: secrets, which a ClusterProfile must not hold.

use std::{cell::OnceCell, collections::HashMap};

use serde::de::IgnoredAny;

use super::{append, clusters, extension_path, is_stored_ca, shown};
use crate::{
    field_path::FieldPath,
    json::each_string,
    profile::{Body, Cluster, ClusterProfile, Status},
    redact::{Found, Search, Secret, shows_key},
    review::{Change, Effect, Level, Operation, Problem, Report, Rule, Value},
    syntax::url,
};

/// `access-secret`
pub(crate) static SECRET: Rule = Rule {
    name: "access-secret",
    summary: "no private key (PEM, PGP, PuTTY or DER, also behind base64) in CA data, extensions, property values, condition \
              messages, `displayName` or annotations; no password in the userinfo of `server` or `proxy-url`; keys named \
              token or secret are fine",
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

fn secret<'a>(change: &Change<'a>, report: &mut Report<'a>) {
    // What is stored is noted wherever it stands: who takes a key out of its field has not brought in the annotation's.
    let is_stored = change.operation == Operation::Update && change.old.is_none();
    let mut finder = Finder { is_stored, ..Finder::default() };
    if let Some(profile) = change.identity() {
        finder.identity(profile, report);
    }
    if let Some(status) = change.status() {
        finder.status(status, report);
    }
    finder.clusters(change, report);
    finder.tell_applied(report);
}

/// The annotation in which `kubectl apply` keeps the whole manifest.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Finds secrets, and tells each that is in the last applied manifest, too, at its own field alone.
#[derive(Default)]
struct Finder {
    search: Search,
    /// Whether the stored object is searched.
    is_stored: bool,
    /// What the last applied manifest gives away, and no other field so far, by digest, and where in it that stands.
    applied: HashMap<u64, (usize, Secret)>,
}

impl Finder {
    fn identity<'a>(&mut self, profile: &'a ClusterProfile<'a>, report: &mut Report<'a>) {
        let annotations = profile.annotations().filter(|annotations| self.search.may_be_in(annotations.text()));
        if let Some(annotations) = annotations {
            self.read_applied(annotations);
        }
        if let Some(name) = profile.spec.set().and_then(|spec| spec.display_name.text()) {
            self.tell(name, || FieldPath::of(&["spec", "displayName"]), report);
        }
        let Some(annotations) = annotations else { return };
        annotations.each_member(|name, value| {
            let path = || FieldPath::of(&["metadata", "annotations"]).key(shown(&name));
            self.tell(&name, path, report);
            if name != LAST_APPLIED {
                each_string(value.text(), |_, text| self.tell(&text, path, report));
            }
        });
    }

    fn status<'a>(&mut self, status: &'a Status<'a>, report: &mut Report<'a>) {
        for (index, property) in status.properties.items() {
            let path = || FieldPath::of(&["status", "properties"]).item(index, property.name.text()).field("value");
            self.tell(property.value.text().unwrap_or_default(), path, report);
        }
        for (index, condition) in status.conditions.items() {
            let path = || FieldPath::of(&["status", "conditions"]).item(index, condition.kind.text()).field("message");
            self.tell(condition.message.text().unwrap_or_default(), path, report);
        }
    }

    fn clusters<'a>(&mut self, change: &Change<'a>, report: &mut Report<'a>) {
        // The providers of a cluster nearly always have the same CA data.
        let mut last: Option<(&str, bool, Vec<Found>)> = None;
        for (item, cluster) in clusters(change) {
            let path = || item.path().field("cluster");
            self.urls(cluster, path, report);
            if let Some(data) = cluster.certificate_authority_data.text() {
                let is_stored = is_stored_ca(&item, data, change);
                let known = last.take().filter(|last| (last.0, last.1) == (data, is_stored)).map(|last| last.2);
                let found = known
                    .unwrap_or_else(|| if is_stored && !shows_key(data) { Vec::new() } else { self.search.each(data) });
                for found in &found {
                    // The data as a whole is what the CA is; who changes it writes the key again.
                    self.tell_apart(found);
                    report_found(found.secret, path().field("certificate-authority-data"), Value::hidden(data), report);
                }
                last = Some((data, is_stored, found));
            }
            for (index, extension) in cluster.extensions.items() {
                // Made once, for it takes reading two names, and there may be many secrets below.
                let place = OnceCell::new();
                let path = || place.get_or_init(|| extension_path(item.path(), index, extension)).clone();
                self.tell(extension.name.text().unwrap_or_default(), || path().field("name"), report);
                let body = extension.extension.filter(|body| self.search.may_be_in(body.text()));
                let Some(body) = body else { continue };
                each_string(body.text(), |steps, text| {
                    self.tell(&text, || append(path().field("extension"), steps), report);
                });
            }
        }
    }

    fn urls<'a>(&mut self, cluster: &'a Cluster<'a>, path: impl Fn() -> FieldPath<'a>, report: &mut Report<'a>) {
        for (field, url) in [("server", &cluster.server), ("proxy-url", &cluster.proxy_url)] {
            let Some(url) = url.text() else { continue };
            let is_denied = url::has_password(url);
            let found = self.search.each(url);
            if is_denied {
                let detail = "must not hold a password: name a Secret";
                report.deny(path().field(field), Problem::Forbidden(Value::hidden(url), detail.into()));
            } else if found.is_empty() && url::parse(url).is_some_and(|url| url.has_secret_parameter()) {
                let detail = "must not hold a token, password or key in its query";
                report.warn(path().field(field), Problem::Forbidden(Value::hidden(url), detail.into()));
            }
            for found in found {
                self.tell_apart(&found);
                if !is_denied {
                    report_found(found.secret, path().field(field), Value::Digest(found.digest()), report);
                }
            }
        }
    }

    /// Tells every secret in a text.
    fn tell<'a>(&mut self, text: &str, path: impl Fn() -> FieldPath<'a>, report: &mut Report<'a>) {
        if report.is_over() {
            return;
        }
        for found in self.search.each(text) {
            self.tell_apart(&found);
            report_found(found.secret, path(), Value::Digest(found.digest()), report);
        }
    }

    /// Notes what the last applied manifest gives away: its strings one by one, as they are searched in their own fields.
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

    /// Takes note that a secret has a field of its own.
    fn tell_apart(&mut self, found: &Found) {
        if !self.is_stored {
            self.applied.remove(&found.digest());
        }
    }

    fn tell_applied(self, report: &mut Report<'_>) {
        let mut applied: Vec<_> = self.applied.into_iter().collect();
        applied.sort_unstable_by_key(|(_, (place, _))| *place);
        for (digest, (_, secret)) in applied {
            let path = FieldPath::of(&["metadata", "annotations"]).key(LAST_APPLIED);
            let (level, detail) = match secret {
                Secret::PrivateKey => (Level::Deny, "must not hold a private key: remove it from the manifest"),
                Secret::Token => (Level::Warn, "must not hold a token: remove it from the manifest"),
            };
            report.add(level, path, Problem::Forbidden(Value::Digest(digest), detail.into()));
        }
    }
}

fn report_found<'a>(secret: Secret, path: FieldPath<'a>, value: Value<'a>, report: &mut Report<'a>) {
    let (level, detail) = match secret {
        Secret::PrivateKey => (Level::Deny, "must not hold a private key"),
        Secret::Token => (Level::Warn, "must not hold a token"),
    };
    report.add(level, path, Problem::Forbidden(value, detail.into()));
}
