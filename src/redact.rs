//! What no reader may be shown as it is: secrets, and characters that change how the text around them looks.

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

/// `text` in quotes, without control characters, shortened where it is long and left out where it may be a secret.
#[must_use]
pub fn quote(text: &str) -> String {
    /// Longer ones push what must be done off the line.
    const SHOWN_CHARACTERS: usize = 63;
    let text = shown(text);
    match text.char_indices().nth(SHOWN_CHARACTERS) {
        Some((end, _)) => format!("{:?}", format!("{}…", text.get(..end).unwrap_or_default())),
        None => format!("{text:?}"),
    }
}

/// `text`, or `…` where it may be a secret.
#[must_use]
pub fn shown(text: &str) -> &str {
    /// Longer ones are not searched, so they are left out: every finding that is reported may quote one.
    const SEARCHED_BYTES: usize = 1024;
    let is_shown = text.len() <= SEARCHED_BYTES && !is_secret(text);
    if is_shown { text } else { HIDDEN }
}

/// What stands where something is not shown.
pub(crate) const HIDDEN: &str = "…";

/// Whether `text` must not be shown: it gives something away, or holds a password before an `@`, as a URL does.
pub(crate) fn is_secret(text: &str) -> bool {
    // A password may have spaces, slashes and more; what is hidden for nothing is a value in a message.
    let has_password = |text: &str| {
        let text = url::narrow(text);
        text.rsplit_once('@').is_some_and(|(before, _)| before.replacen("://", "", 1).contains(':'))
    };
    let may_have = text.contains(['@', '%']) || !text.is_ascii();
    (may_have && url::any_decoding(text, has_password)) || of(text).is_some()
}

/// Whether a private key may be in CA data, or behind one layer of base64 in it.
///
/// All that is looked for in data that is stored already: to look deeper takes ten times as long, at each write, and what is
/// found there is not refused.
pub(crate) fn shows_key(data: &str) -> bool {
    /// `PRIVATE KEY`, and as much of it as base64 shows wherever in a group of three bytes it begins.
    const SIGNS: [&str; 4] = ["PRIVATE KEY", "UFJJVkFURSBL", "SVZBVEUgS0VZ", "UklWQVRFIEtF"];
    SIGNS.iter().any(|sign| data.contains(sign))
}
