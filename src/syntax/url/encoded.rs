//! Percent-encoding, full-width signs, and parameters that are named like a secret.

use std::borrow::Cow;

use crate::syntax::url::escape;

/// Whether `holds` is true of the text or of one of its repeated percent-decodings.
pub(crate) fn any_decoding(text: &str, holds: impl Fn(&str) -> bool) -> bool {
    /// Proxies and templates encode a text fewer times.
    const DECODING_LIMIT: usize = 3;
    let mut text = Cow::Borrowed(text);
    for _ in 0..DECODING_LIMIT {
        if holds(&text) {
            return true;
        }
        match decoded(&text) {
            Some(decoded) => text = Cow::Owned(decoded),
            None => return false,
        }
    }
    holds(&text)
}

/// Variants of `@` from some keyboards.
///
/// Go reads them as part of the host, so the text before them is no password to Go. A reader still sees one.
pub(super) const WIDE_AT: [char; 2] = ['\u{ff20}', '\u{fe6b}'];

/// Variants of the colon from some keyboards.
pub(super) const WIDE_COLON: [char; 2] = ['\u{ff1a}', '\u{fe55}'];

/// Replaces full-width and small variants of `@` and `:`.
pub(crate) fn narrow(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.replace(WIDE_AT, "@").replace(WIDE_COLON, ":"))
}

/// Percent-decodes a text once. Returns `None` if the text has no percent-encoding.
fn decoded(text: &str) -> Option<String> {
    let mut parts = text.split('%');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    let mut is_encoded = false;
    for part in parts {
        let byte = escape(part);
        is_encoded |= byte.is_some();
        bytes.push(byte.unwrap_or(b'%'));
        bytes.extend_from_slice(part.as_bytes().get(if byte.is_some() { 2 } else { 0 }..).unwrap_or_default());
    }
    is_encoded.then(|| String::from_utf8_lossy(&bytes).into_owned())
}

/// Whether a parameter's name implies that its value is a secret, and not the name of a secret.
pub(super) fn names_a_secret(name: &str) -> bool {
    /// Names without a separator between their words.
    const COMPOUND: [&str; 7] =
        ["apikey", "accesskey", "accountkey", "authkey", "privatekey", "secretkey", "sharedkey"];
    let words = words(name);
    let is_reference = words.last().is_some_and(|last| ["name", "ref", "id", "type"].contains(&last.as_str()));
    !is_reference
        && words.iter().any(|word| {
            ["token", "password", "passwd", "secret"].iter().any(|secret| word.contains(secret))
                || ["key", "pwd", "pass"].contains(&word.as_str())
                || COMPOUND.contains(&word.as_str())
        })
}

/// Splits a name into lowercase words: `apiKey`, `api-key` and `API_KEY` have two.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut was_lower = false;
    for letter in name.chars() {
        if !letter.is_alphanumeric() || (was_lower && letter.is_uppercase()) {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut().filter(|_| letter.is_alphanumeric()) {
            word.extend(letter.to_lowercase());
        }
        was_lower = letter.is_lowercase() || letter.is_ascii_digit();
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use crate::syntax::url::parse;

    #[test]
    fn parameters_that_say_so_are_secret() {
        let is_secret =
            |query: &str| parse(&format!("https://a/b?{query}")).is_some_and(|url| url.has_secret_parameter());
        for query in [
            "token=x",
            "a=b&access_token=x",
            "Password=x",
            "apiKey=x",
            "api-key=x",
            "APIKEY=x",
            "key=x",
            "to%6ben=x",
            "X-Amz-Security-Token=x",
            "a;pwd=x",
        ] {
            assert!(is_secret(query), "{query}");
        }
        for query in [
            "",
            "token",
            "token=",
            "agentName=x",
            "tokenName=x",
            "secret-ref=x",
            "keyId=x",
            "monkey=x",
            "keyspace=x",
            "a=token",
        ] {
            assert!(!is_secret(query), "{query}");
        }
    }
}
