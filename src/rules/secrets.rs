//! Secrets, which a ClusterProfile must not hold and no message may show.

use std::borrow::Cow;

use base64::{
    Engine as _,
    alphabet::{STANDARD, URL_SAFE},
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose},
};

use super::{
    Change, Effect, Level, Phase, Problem, Report, Rule, Value, access_providers::clusters, extensions, strings, url,
};
use crate::field::FieldPath;

/// `access-secret`
pub(super) static SECRET: Rule = Rule {
    name: "access-secret",
    summary: "no PEM private key (also behind base64) in CA data or extensions, and no password in `server` or `proxy-url`; \
              keys of extensions may well be named token or secret",
    source: "KEP-4322: a ClusterProfile holds no secrets",
    effect: Effect::Deny,
    exceptions: "Warn for a value shaped like a JWT",
    fix: "",
    phase: Phase::Validate,
    since: "0.1.0",
    docs: include_str!("docs/access-secret.md"),
    check: secret,
};

fn secret<'a>(change: &Change<'a>, report: &mut Report<'a>) {
    for (item, cluster) in clusters(change) {
        let path = || item.path().field("cluster");
        for (field, url) in [("server", &cluster.server), ("proxy-url", &cluster.proxy_url)] {
            let Some(url) = url.text() else { continue };
            if has_password(url) {
                let detail = "must not hold a password: name the Secret that does in an extension";
                report.deny(path().field(field), Problem::Forbidden(Value::hidden(url), detail.into()));
            } else if let Some(secret) = of(url) {
                tell(secret, path().field(field), Value::hidden(url), report);
            }
        }
        if let Some(data) = cluster.certificate_authority_data.text()
            && let Some(secret) = of(data)
        {
            tell(secret, path().field("certificate-authority-data"), Value::hidden(data), report);
        }
        for (index, extension) in cluster.extensions.items() {
            let Some(body) = extension.extension else { continue };
            strings::each_string(body.text(), |steps, text| {
                if let Some(secret) = of(&text) {
                    let path = extensions::path(item.path(), index, extension).field("extension");
                    tell(secret, strings::append(path, steps), Value::Hidden(text), report);
                }
            });
        }
    }
}

fn tell<'a>(secret: Secret, path: FieldPath<'a>, value: Value<'a>, report: &mut Report<'a>) {
    let (level, detail) = match secret {
        Secret::PrivateKey => (Level::Deny, "must not hold a private key: name the Secret that does"),
        Secret::Token => (Level::Warn, "must not hold a token, as this looks like: name the Secret that does"),
    };
    report.add(level, path, Problem::Forbidden(value, detail.into()));
}

/// What a text gives away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Secret {
    /// A PEM private key of any kind.
    PrivateKey,
    /// Something of the shape of a signed JSON Web Token (RFC 7519).
    Token,
}

/// What `text`, or what is behind its base64, gives away.
pub(super) fn of(text: &str) -> Option<Secret> {
    /// A Secret's manifest copied into a Secret is the deepest that people nest by mistake.
    const LAYERS: usize = 3;
    let mut layer = Cow::Borrowed(text);
    for _ in 0..LAYERS {
        if let Some(secret) = in_plain(&layer) {
            return Some(secret);
        }
        layer = Cow::Owned(String::from_utf8_lossy(&decode_any(&layer)?).into_owned());
    }
    in_plain(&layer)
}

fn in_plain(text: &str) -> Option<Secret> {
    let has_key = text.contains("-----BEGIN ") && text.contains("PRIVATE KEY-----");
    if has_key {
        return Some(Secret::PrivateKey);
    }
    let mut runs = text.split(|letter: char| !(letter.is_ascii_alphanumeric() || "-_.".contains(letter)));
    (text.contains(OBJECT) && runs.any(is_token)).then_some(Secret::Token)
}

/// How a JSON object begins in base64.
const OBJECT: &str = "eyJ";

/// Whether it is three parts in base64url, of which the first two are JSON objects.
fn is_token(run: &str) -> bool {
    let mut parts = run.split('.');
    let is_object = |part: Option<&str>| part.is_some_and(|part| part.starts_with(OBJECT));
    is_object(parts.next())
        && is_object(parts.next())
        && parts.next().is_some_and(|signature| !signature.is_empty())
        && parts.next().is_none()
}

/// Whether the userinfo of a URL, or of what was meant for one, holds a password.
fn has_password(url: &str) -> bool {
    let password = url::userinfo(url).and_then(|userinfo| userinfo.split_once(':'));
    password.is_some_and(|(_, password)| !password.is_empty())
}

/// The bytes behind standard base64 as Go reads it: padded, line breaks left out.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    general_purpose::STANDARD.decode(without(text, &['\r', '\n']).as_bytes()).ok()
}

/// The bytes behind base64 of either alphabet, padded or not.
fn decode_any(text: &str) -> Option<Vec<u8>> {
    const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    /// base64 of less than a PEM header.
    const SHORTEST: usize = 32;
    if text.len() < SHORTEST {
        return None;
    }
    let text = without(text, &['\r', '\n', ' ', '\t']);
    let alphabet = if text.contains(['-', '_']) { URL_SAFE } else { STANDARD };
    GeneralPurpose::new(&alphabet, LENIENT).decode(text.as_bytes()).ok()
}

fn without<'t>(text: &'t str, characters: &[char]) -> Cow<'t, str> {
    if text.contains(characters) { Cow::Owned(text.replace(characters, "")) } else { Cow::Borrowed(text) }
}
