//! Hides secrets in texts, and escapes characters that change how the text around them looks.

pub use self::escaped::printable_json;
pub(crate) use self::{
    escaped::escaped,
    search::{Found, Search, Secret, of},
};
use crate::syntax::url;

mod der;
mod escaped;
mod letters;
mod search;
mod sieve;
#[cfg(test)]
mod tests;

/// Returns `text` in quotes, with control characters escaped. Shortens a long text and hides a possible secret.
#[must_use]
pub fn quote(text: &str) -> String {
    /// A longer quote pushes the advice off the line.
    const SHOWN_CHARACTERS: usize = 63;
    let text = shown(text);
    match text.char_indices().nth(SHOWN_CHARACTERS) {
        Some((end, _)) => format!("{:?}", format!("{}…", text.get(..end).unwrap_or_default())),
        None => format!("{text:?}"),
    }
}

/// Returns `text`, or `…` if it may be a secret.
#[must_use]
pub fn shown(text: &str) -> &str {
    /// Bounds the cost of a search, because every reported finding may quote a text. A longer text is hidden.
    const SEARCHED_BYTES: usize = 1024;
    let is_shown = text.len() <= SEARCHED_BYTES && !is_secret(text);
    if is_shown { text } else { HIDDEN }
}

/// Replaces a hidden text.
pub(crate) const HIDDEN: &str = "…";

/// Whether `text` holds a private key, a token, or a password before an `@` as in a URL.
pub(crate) fn is_secret(text: &str) -> bool {
    // A password may contain spaces and slashes. A false positive only hides a value in a message.
    let has_password = |text: &str| {
        let text = url::narrow(text);
        text.rsplit_once('@').is_some_and(|(before, _)| before.replacen("://", "", 1).contains(':'))
    };
    let may_have = text.contains(['@', '%']) || !text.is_ascii();
    (may_have && url::any_decoding(text, has_password)) || of(text).is_some()
}

/// Whether CA data may hold a private key, either in plain text or behind one layer of base64.
///
/// A quick check for data that is already stored. A full search takes ten times as long on every write, and the rule
/// does not deny a stored key.
pub(crate) fn shows_key(data: &str) -> bool {
    /// `PRIVATE KEY`, in plain text and in base64 at each of the three offsets within a group of three bytes.
    const SIGNS: [&str; 4] = ["PRIVATE KEY", "UFJJVkFURSBL", "SVZBVEUgS0VZ", "UklWQVRFIEtF"];
    SIGNS.iter().any(|sign| data.contains(sign))
}
