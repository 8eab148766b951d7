//! Secrets, which a ClusterProfile must not hold and no message may show.

use std::cell::OnceCell;

use base64::{
    Engine as _,
    alphabet::{STANDARD, URL_SAFE},
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

use super::{
    Change, Effect, Level, Phase, Problem, Report, Rule, Value,
    access_providers::{Last, clusters, is_stored_ca},
    extensions, strings, url,
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
    let mut last = Last::new();
    for (item, cluster) in clusters(change) {
        let path = || item.path().field("cluster");
        for (field, url) in [("server", &cluster.server), ("proxy-url", &cluster.proxy_url)] {
            let Some(url) = url.text() else { continue };
            if has_password(url) {
                let detail = "must not hold a password: name a Secret";
                report.deny(path().field(field), Problem::Forbidden(Value::hidden(url), detail.into()));
            } else if let Some(secret) = of(url) {
                tell(secret, path().field(field), Value::hidden(url), report);
            }
        }
        if let Some(data) = cluster.certificate_authority_data.text() {
            let is_stored = is_stored_ca(&item, data, change);
            let judge = || if is_stored && !shows_key(data) { None } else { of(data) };
            if let Some(secret) = last.of((data, is_stored), judge) {
                tell(secret, path().field("certificate-authority-data"), Value::hidden(data), report);
            }
        }
        for (index, extension) in cluster.extensions.items() {
            let Some(body) = extension.extension else { continue };
            let place = OnceCell::new();
            strings::each_string(body.text(), |steps, text| {
                if report.is_over() {
                    return;
                }
                if let Some(secret) = of(&text) {
                    let path = || extensions::path(item.path(), index, extension).field("extension");
                    let path = place.get_or_init(path).clone();
                    tell(secret, strings::append(path, steps), Value::Hidden(text), report);
                }
            });
        }
    }
}

fn tell<'a>(secret: Secret, path: FieldPath<'a>, value: Value<'a>, report: &mut Report<'a>) {
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

/// What a text gives away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Secret {
    /// Something of the shape of a signed JSON Web Token (RFC 7519).
    Token,
    /// A PEM private key of any kind.
    PrivateKey,
}

/// Whether `text` must not be shown: it gives something away, or holds a password before an `@`, as a URL does.
pub(super) fn is_secret(text: &str) -> bool {
    let holds_password = |before: &str| {
        let userinfo = before.rsplit(char::is_whitespace).next().unwrap_or_default();
        userinfo.split_once(":/").map_or(userinfo, |(_, rest)| rest).contains(':')
    };
    text.rsplit_once('@').is_some_and(|(before, _)| before.split('@').any(holds_password)) || of(text).is_some()
}

/// What `text`, or what is behind base64 in it, gives away.
pub(super) fn of(text: &str) -> Option<Secret> {
    /// A Secret's manifest copied into a Secret is the deepest that people nest by mistake.
    ///
    /// A layer is at most one and a half times the one before, three quarters of it in either alphabet: all of them are eight
    /// times the text.
    const LAYERS: usize = 3;
    in_layers(text, LAYERS)
}

fn in_layers(text: &str, layers: usize) -> Option<Secret> {
    let mut found = in_plain(text);
    if layers == 0 || text.len() < SHORTEST {
        return found;
    }
    let mut look_behind = |run: &[u8]| {
        for chunk in decode(run).utf8_chunks() {
            if found < Some(Secret::PrivateKey) {
                found = found.max(in_layers(chunk.valid(), layers - 1));
            }
        }
    };
    if let Some(run) = unbroken(text) {
        look_behind(run.as_bytes());
    } else {
        let runs = text.as_bytes().split(|byte| !is_base64(*byte)).filter(|run| run.len() >= SHORTEST);
        runs.flat_map(pieces).for_each(look_behind);
    }
    found
}

fn in_plain(text: &str) -> Option<Secret> {
    if text.contains("-----BEGIN ") && text.contains("PRIVATE KEY-----") {
        return Some(Secret::PrivateKey);
    }
    let mut runs = text.split(|letter: char| !(letter.is_ascii_alphanumeric() || "-_.".contains(letter)));
    (text.contains(OBJECT) && runs.any(has_token)).then_some(Secret::Token)
}

/// How a JSON object begins in base64.
const OBJECT: &str = "eyJ";

/// Whether three parts follow each other of which the first two are JSON objects, whatever else is glued to them.
fn has_token(run: &str) -> bool {
    let (mut header, mut payload) = ("", "");
    run.split('.').any(|part| {
        let ends_token = header.contains(OBJECT) && payload.starts_with(OBJECT) && !part.is_empty();
        (header, payload) = (payload, part);
        ends_token
    })
}

/// base64 of less than a PEM header; also longer than nearly all words, so that hardly any text is decoded.
const SHORTEST: usize = 32;

/// The lines of a text in one, where it is base64 that is broken into lines of one length.
fn unbroken(text: &str) -> Option<String> {
    let text = text.trim();
    let (first, _) = text.split_once('\n')?;
    let width = first.trim().len();
    let mut joined = String::new();
    for line in text.lines() {
        let line = line.trim().trim_end_matches('=');
        if !joined.len().is_multiple_of(width) || !line.bytes().all(is_base64) {
            return None;
        }
        joined.push_str(line);
    }
    Some(joined)
}

/// Whether it is a letter of either alphabet.
fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || is_standard(byte) || is_url_safe(byte)
}

/// Whether it is a letter that only the standard alphabet has.
fn is_standard(byte: u8) -> bool {
    matches!(byte, b'+' | b'/')
}

/// Whether it is a letter that only the URL's alphabet has.
fn is_url_safe(byte: u8) -> bool {
    matches!(byte, b'-' | b'_')
}

/// What of a run may be base64 in the standard alphabet, then in the URL's; to the other's letters each is glued by chance.
fn pieces(run: &[u8]) -> impl Iterator<Item = &[u8]> {
    let url_safe = if run.iter().any(|byte| is_standard(*byte) || is_url_safe(*byte)) { run } else { &[] };
    let of_standard = run.split(|byte| is_url_safe(*byte));
    of_standard.chain(url_safe.split(|byte| is_standard(*byte))).filter(|piece| piece.len() >= SHORTEST)
}

/// The bytes behind base64 of one alphabet without padding, where they begin as text does.
fn decode(run: &[u8]) -> Vec<u8> {
    const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::RequireNone)
        .with_decode_allow_trailing_bits(true);
    static OF_STANDARD: GeneralPurpose = GeneralPurpose::new(&STANDARD, LENIENT);
    static OF_URL_SAFE: GeneralPurpose = GeneralPurpose::new(&URL_SAFE, LENIENT);
    /// Hardly any binary data, such as a certificate, looks like text for so long.
    const HEAD: usize = 16;
    let engine = if run.iter().any(|byte| is_url_safe(*byte)) { &OF_URL_SAFE } else { &OF_STANDARD };
    let mut head = [0; HEAD / 4 * 3];
    let _ = engine.decode_slice(run.get(..HEAD).unwrap_or_default(), &mut head);
    if str::from_utf8(&head).is_err_and(|error| error.error_len().is_some()) {
        return Vec::new();
    }
    let whole = run.len() - usize::from(run.len() % 4 == 1);
    engine.decode(run.get(..whole).unwrap_or_default()).unwrap_or_default()
}

/// Whether the userinfo of a URL, or of what was meant for one, holds a password.
fn has_password(url: &str) -> bool {
    let password = url::userinfo(url).and_then(|userinfo| userinfo.split_once(':'));
    password.is_some_and(|(_, password)| !password.is_empty())
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, engine::general_purpose};

    use super::{Secret, is_secret, of, shows_key};

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
