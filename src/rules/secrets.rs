//! Secrets, which a ClusterProfile must not hold and no message may show.

use std::{cell::OnceCell, collections::HashMap};

use serde::de::IgnoredAny;

use super::{
    Change, Effect, Level, Operation, Phase, Problem, Report, Rule, Value,
    access_providers::{clusters, is_stored_ca},
    extensions, strings, url,
};
use crate::{
    field::FieldPath,
    profile::{Cluster, ClusterProfile, Status},
};
use search::{Found, Search};
pub(super) use search::{Secret, of};

mod der;
mod search;

/// `access-secret`
pub(super) static SECRET: Rule = Rule {
    name: "access-secret",
    summary: "no private key (PEM, PGP, PuTTY or DER, also behind base64) in CA data, extensions, property values, condition \
              messages, `displayName` or annotations; no password in the userinfo of `server` or `proxy-url`; keys named \
              token or secret are fine",
    source: "KEP-4322: a ClusterProfile holds no secrets",
    effect: Effect::Deny,
    exceptions: "Warn for a value shaped like a JWT, and for a query parameter of `server` or `proxy-url` that is named like a \
                 token, password or key",
    fix: "",
    phase: Phase::Validate,
    since: "0.1.0",
    docs: include_str!("docs/access-secret.md"),
    check: secret,
};

fn secret<'a>(change: &Change<'a>, report: &mut Report<'a>) {
    let mut finder = Finder { search: Search::default(), applied: HashMap::new() };
    if let Some(profile) = change.identity() {
        finder.identity(profile, report);
    }
    if let Some(status) = change.status() {
        finder.status(status, report);
    }
    finder.clusters(change, report);
    // What is stored is noted wherever it stands: who takes a key out of its field has not brought in the annotation's.
    let is_stored = change.operation == Operation::Update && change.old.is_none();
    if is_stored && let Some(profile) = change.identity() {
        finder.read_applied(profile);
    }
    finder.tell_applied(report);
}

/// The annotation in which `kubectl apply` keeps the whole manifest.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Finds secrets, and tells each that is in the last applied manifest, too, at its own field alone.
struct Finder {
    search: Search,
    /// What the last applied manifest gives away, and no other field so far, by digest, and where in it that stands.
    applied: HashMap<u64, (usize, Secret)>,
}

impl Finder {
    fn identity<'a>(&mut self, profile: &'a ClusterProfile<'a>, report: &mut Report<'a>) {
        self.read_applied(profile);
        if let Some(name) = profile.spec.set().and_then(|spec| spec.display_name.text()) {
            self.tell(name, || FieldPath::of(&["spec", "displayName"]), report);
        }
        let Some(annotations) = profile.annotations() else { return };
        annotations.each_member(|name, value| {
            let path = || FieldPath::of(&["metadata", "annotations"]).key(strings::shown(&name));
            self.tell(&name, path, report);
            if name != LAST_APPLIED {
                strings::each_string(value.text(), |_, text| self.tell(&text, path, report));
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
                    self.applied.remove(&found.digest());
                    report_found(found.secret, path().field("certificate-authority-data"), Value::hidden(data), report);
                }
                last = Some((data, is_stored, found));
            }
            for (index, extension) in cluster.extensions.items() {
                // Made once, for it takes reading two names, and there may be many secrets below.
                let place = OnceCell::new();
                let path = || place.get_or_init(|| extensions::path(item.path(), index, extension)).clone();
                self.tell(extension.name.text().unwrap_or_default(), || path().field("name"), report);
                let Some(body) = extension.extension else { continue };
                strings::each_string(body.text(), |steps, text| {
                    self.tell(&text, || strings::append(path().field("extension"), steps), report);
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
                self.applied.remove(&found.digest());
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
            self.applied.remove(&found.digest());
            report_found(found.secret, path(), Value::Digest(found.digest()), report);
        }
    }

    /// Notes what the last applied manifest gives away: its strings one by one, as they are searched in their own fields.
    fn read_applied(&mut self, profile: &ClusterProfile<'_>) {
        let Some(annotations) = profile.annotations() else { return };
        annotations.each_member(|name, value| {
            if name != LAST_APPLIED {
                return;
            }
            strings::each_string(value.text(), |_, manifest| {
                let mut note = |text: &str| {
                    for found in self.search.each(text) {
                        let next = self.applied.len();
                        self.applied.entry(found.digest()).or_insert((next, found.secret));
                    }
                };
                if serde_json::from_str::<IgnoredAny>(&manifest).is_ok() {
                    strings::each_string(&manifest, |_, text| note(&text));
                } else {
                    note(&manifest);
                }
            });
        });
    }

    fn tell_applied(self, report: &mut Report<'_>) {
        let mut applied: Vec<_> = self.applied.into_iter().collect();
        applied.sort_unstable_by_key(|(_, (place, _))| *place);
        for (digest, (_, secret)) in applied {
            let path = FieldPath::of(&["metadata", "annotations"]).key(LAST_APPLIED);
            report_found(secret, path, Value::Digest(digest), report);
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

/// Whether a private key may be in CA data, or behind one layer of base64 in it.
///
/// All that is looked for in data that is stored already: to look deeper takes ten times as long, at each write, and what is
/// found there is not refused.
fn shows_key(data: &str) -> bool {
    /// `PRIVATE KEY`, and as much of it as base64 shows wherever in a group of three bytes it begins.
    const SIGNS: [&str; 4] = ["PRIVATE KEY", "UFJJVkFURSBL", "SVZBVEUgS0VZ", "UklWQVRFIEtF"];
    SIGNS.iter().any(|sign| data.contains(sign))
}

/// Whether `text` must not be shown: it gives something away, or holds a password before an `@`, as a URL does.
pub(super) fn is_secret(text: &str) -> bool {
    let holds_password = |before: &str| {
        let userinfo = before.rsplit(char::is_whitespace).next().unwrap_or_default();
        userinfo.split_once(":/").map_or(userinfo, |(_, rest)| rest).contains(':')
    };
    let has_password =
        |text: &str| text.rsplit_once('@').is_some_and(|(before, _)| before.split('@').any(holds_password));
    (text.contains(['@', '%']) && url::any_decoding(text, has_password)) || of(text).is_some()
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, engine::general_purpose};

    use super::{Search, Secret, is_secret, of, shows_key};

    const KEY: &str =
        "-----BEGIN PRIVATE KEY-----\nbm90IGEga2V5LCBidXQgb2YgdGhlIHNoYXBlIG9mIG9uZQ==\n-----END PRIVATE KEY-----\n";
    const TOKEN: &str = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJub2JvZHkifQ.bm90LWEtc2lnbmF0dXJl";

    fn encoded(text: &str) -> String {
        general_purpose::STANDARD.encode(text)
    }

    fn kubeconfig(key: &str) -> String {
        format!(
            "users:\n- name: a\n  user:\n    client-certificate-data: MIIB\n    client-key-data: {key}\nkind: Config\n"
        )
    }

    #[test]
    fn keys_are_found_however_deep_they_are() {
        let once = encoded(KEY);
        let broken = |width: usize| {
            let lines = once.as_bytes().chunks(width).map(|line| str::from_utf8(line).unwrap());
            lines.collect::<Vec<_>>().join("\n  ")
        };
        let texts = [
            KEY.to_owned(),
            once.clone(),
            once.trim_end_matches('=').to_owned(),
            general_purpose::URL_SAFE.encode(format!("???>>>{KEY}")),
            encoded(&encoded(&once)),
            kubeconfig(&once),
            encoded(&kubeconfig(&encoded(&kubeconfig(&once)))),
            format!("data:text/plain;base64,{once}"),
            format!("https://example.com/keys/{once}"),
            format!("--key={once}"),
            format!("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n{once}"),
            broken(76),
            broken(20) + "\n",
            kubeconfig(&format!("|\n      {}", broken(64))),
        ];
        for text in texts {
            assert_eq!(of(&text), Some(Secret::PrivateKey), "{text}");
        }
        assert_eq!(of(&encoded(&encoded(&encoded(&once)))), None, "the fourth layer is not looked at");
    }

    fn folded(text: &str, width: usize, by: &str) -> String {
        let lines = text.as_bytes().chunks(width).map(|line| str::from_utf8(line).unwrap());
        lines.collect::<Vec<_>>().join(by)
    }

    /// YAML's `>` folds lines into spaces, and no tool agrees with another on the width.
    #[test]
    fn keys_are_found_however_they_are_folded() {
        for pad in 0..4 {
            let text = kubeconfig(&encoded(KEY)).replace("Config", &format!("Config{}", "x".repeat(pad)));
            let once = encoded(&text);
            for width in 1..200 {
                let texts = [
                    folded(&once, width, " "),
                    folded(&once, width, "   "),
                    folded(&once, width, "\t"),
                    folded(&once, width, "\r\n"),
                    folded(&once, width, "\\n"),
                    format!("kubeconfig of a: {}\nthe end", folded(&once, width, " ")),
                    format!("kubeconfig {} the end", folded(&once, width, " ")),
                    folded(KEY, width, "\n"),
                ];
                for text in texts {
                    assert_eq!(of(&text), Some(Secret::PrivateKey), "{width}: {text}");
                }
            }
            let in_layers = encoded(&folded(&encoded(&folded(&once, 76, "\n")), 64, "\r\n"));
            assert_eq!(of(&in_layers), None, "the fourth layer, of which the first is the kubeconfig's own");
        }
        let in_layers = encoded(&folded(&encoded(&folded(&encoded(KEY), 76, "\n")), 64, "\r\n"));
        assert_eq!(of(&in_layers), Some(Secret::PrivateKey));
    }

    #[test]
    fn keys_of_other_programs_are_found() {
        let utf16: Vec<u8> = KEY.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let texts = [
            "-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nlQVYBGI=\n",
            "PuTTY-User-Key-File-2: ssh-rsa\nEncryption: none\n",
            "---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\nP2/56wAA\n",
            "{\\\"key\\\": \\\"-----BEGIN RSA PRIVATE KEY-----\\\\nMIIE\\\"}",
            &general_purpose::STANDARD.encode(utf16),
        ];
        for text in texts {
            assert_eq!(of(text), Some(Secret::PrivateKey), "{text}");
            assert_eq!(of(&encoded(&format!("at first: {text}"))), Some(Secret::PrivateKey), "{text}");
        }
        for text in [
            "-----BEGIN PUBLIC KEY-----",
            "BEGIN PRIVATE KEY",
            "-----BEGIN CERTIFICATE REQUEST-----",
            "---- BEGIN SSH2 PUBLIC KEY ----",
        ] {
            assert_eq!(of(text), None, "{text}");
        }
    }

    /// What is compared with the stored object: the same key is the same secret, whatever is around it.
    #[test]
    fn a_secret_is_the_same_wherever_it_stands() {
        let mut search = Search::default();
        let once = search.each(KEY);
        assert_eq!(once.len(), 1);
        let texts = [
            encoded(KEY),
            format!("a: {KEY}b: c\n{KEY}"),
            KEY.replace('\n', "\r\n  "),
            KEY.replace('\n', "\\n"),
            folded(&encoded(&kubeconfig(&encoded(KEY))), 64, " "),
        ];
        for text in texts {
            assert_eq!(search.each(&text), once, "{text}");
        }
        let other = KEY.replace("bm90", "bm91");
        assert_eq!(search.each(&format!("{KEY}{other}{TOKEN}")).len(), 3);
        assert_ne!(search.each(&other), once);
        let many: String = (0..1000).map(|number| format!("{TOKEN}{number} ")).collect();
        assert_ne!(search.each(&many), search.each(&format!("{many}{TOKEN}")), "what is past the most counts");
    }

    #[test]
    fn a_key_shows_wherever_it_begins() {
        for before in ["", "\n", "\n\n", "\n\n\n"] {
            let text = format!("{before}{KEY}");
            assert!(shows_key(&text) && shows_key(&encoded(&text)), "{text}");
            assert!(!shows_key(&encoded(&text.replace("PRIVATE", "PUBLIC"))), "{text}");
        }
    }

    #[test]
    fn tokens_are_found_whatever_is_glued_to_them() {
        for (before, after) in
            [("", ""), ("Bearer ", ""), ("", "."), ("", ". It"), ("token_", "-x"), ("v1.", ".x.y"), ("eyJ.", "")]
        {
            assert_eq!(of(&format!("{before}{TOKEN}{after}")), Some(Secret::Token), "{before}|{after}");
        }
        assert_eq!(of(&encoded(&format!("token: {TOKEN}"))), Some(Secret::Token));
        assert_eq!(of(&format!("{TOKEN} {KEY}")), Some(Secret::PrivateKey));
    }

    #[test]
    fn names_words_and_certificates_are_none() {
        let certificate = encoded("0\u{82}\u{1}\u{f}0\u{7f}").repeat(9);
        let pem = format!("-----BEGIN CERTIFICATE-----\n{certificate}\n-----END CERTIFICATE-----\n");
        let texts = [
            "",
            "token",
            "a.b.c",
            "eyJhbGciOiJub25lIn0.eyJzdWIiOiJub2JvZHkifQ",
            "eyJhbGciOiJub25lIn0.x.y",
            "PRIVATE KEY",
            "https://user@example.com:6443",
            &pem,
            &encoded(&pem),
            &"a".repeat(1000),
        ];
        for text in texts {
            assert!(!is_secret(text), "{text}");
        }
        assert!(is_secret("see https://admin:example@spoke-1 for it"));
    }
}
