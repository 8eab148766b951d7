//! What is percent-encoded in a URL, or written with full-width signs, and what the names of its parameters say.

use std::borrow::Cow;

use crate::syntax::url::escape;

/// Whether `holds` of the text, or of what it is percent-encoded for, once or more often.
pub(crate) fn any_decoding(text: &str, holds: impl Fn(&str) -> bool) -> bool {
    /// More often than proxies and templates encode what is encoded already.
    const TIMES: usize = 3;
    let mut text = Cow::Borrowed(text);
    for _ in 0..TIMES {
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

/// An `@` as some keyboards write it. To Go a letter of a host, so a password before it is no password; readers see one.
pub(super) const WIDE_AT: [char; 2] = ['\u{ff20}', '\u{fe6b}'];

/// A colon as some keyboards write it.
pub(super) const WIDE_COLON: [char; 2] = ['\u{ff1a}', '\u{fe55}'];

/// The text with `@` and `:` in place of signs that look like them.
pub(crate) fn narrow(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.replace(WIDE_AT, "@").replace(WIDE_COLON, ":"))
}

/// The text without its percent-encoding; none where there is nothing encoded in it.
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

/// Whether the name of a parameter says that its value is a secret, and not the name of one.
pub(super) fn names_a_secret(name: &str) -> bool {
    /// Written as one word.
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

/// The words of a name in lower case: of `apiKey`, `api-key` and `API_KEY` two.
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
