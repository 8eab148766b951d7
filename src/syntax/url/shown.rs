//! Hides the parts of a URL that a message must not show.

use std::borrow::Cow;

use crate::syntax::url::{
    encoded::{WIDE_AT, WIDE_COLON},
    is_scheme, parse,
};

/// Returns a URL or a malformed URL with `…` in place of each part that may be a secret.
///
/// These parts are the userinfo in any encoding, the query, the fragment, and the text after a colon that begins no
/// port. The path may still hold a token, so the caller must search the result.
pub(crate) fn shown(url: &str) -> Cow<'_, str> {
    let is_whole = url.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte));
    if is_whole {
        return Cow::Borrowed(url);
    }
    let (prefix, rest) = url.split_at(prefix(url));
    let end = rest.find(['?', '#']).unwrap_or(rest.len());
    let (body, tail) = rest.split_at(end);
    // A password may hold `?` and `#`. Only a valid URL shows where its userinfo ends.
    if after_last_at(tail).is_some() && parse(url).is_none() {
        return Cow::Owned(format!("{prefix}…"));
    }
    let mut text = prefix.to_owned();
    let mut body = body;
    if let Some(host) = after_last_at(body).and_then(|start| body.get(start..)) {
        text.push_str("…@");
        body = host;
    }
    push_without_passwords(&mut text, body);
    if !text.ends_with(":…") {
        text.extend(tail.chars().next());
        text.push_str(if tail.is_empty() { "" } else { "…" });
    }
    Cow::Owned(text)
}

/// Returns the length of `https://`, or of the leading slashes if there is no scheme.
fn prefix(url: &str) -> usize {
    let scheme = url.split_once(':').filter(|(scheme, rest)| is_scheme(scheme) && rest.starts_with('/'));
    let rest = scheme.map_or(url, |(_, rest)| rest);
    url.len() - rest.trim_start_matches('/').len()
}

/// Returns the position after the last `@`, which may be percent-encoded or full-width.
fn after_last_at(text: &str) -> Option<usize> {
    let wide = text.rmatch_indices(WIDE_AT).map(|(at, sign)| at + sign.len()).next();
    let plain = text.rfind('@').map(|at| at + 1).max(wide);
    let encoded = text.rmatch_indices("40").find(|(at, _)| is_escape(text, *at)).map(|(at, digits)| at + digits.len());
    plain.max(encoded)
}

/// Whether a `%` precedes `at`. The `%` may be encoded itself, also more than once.
fn is_escape(text: &str, at: usize) -> bool {
    let mut before = text.get(..at).unwrap_or_default();
    while let Some(shorter) = before.strip_suffix("25") {
        before = shorter;
    }
    before.ends_with('%')
}

/// Appends the host, port and path, up to a colon that begins no port.
fn push_without_passwords(text: &mut String, body: &str) {
    let address = if body.starts_with('[') { body.find(']').unwrap_or(0) } else { 0 };
    let (address, mut rest) = body.split_at(address);
    text.push_str(address);
    let mut is_host = true;
    while let Some((start, after)) = colon(rest) {
        text.push_str(rest.get(..start).unwrap_or_default());
        let port = rest.get(after..).unwrap_or_default();
        let digits = port.split('/').next().unwrap_or_default();
        is_host &= !text.rsplit("://").next().unwrap_or_default().contains('/');
        let is_port = is_host && digits.len() <= 5 && digits.parse::<u16>().is_ok_and(|port| port > 0);
        // A password may begin with a slash. A URL with a path has no colon without a port before it.
        if !(is_port || port.is_empty() && is_host) {
            text.push_str(":…");
            return;
        }
        is_host = false;
        text.push(':');
        rest = port;
    }
    text.push_str(rest);
}

/// Returns the start and the end of the first colon, which may be percent-encoded or full-width.
fn colon(text: &str) -> Option<(usize, usize)> {
    let plain = text.find(':').map(|at| (at, at + 1));
    let wide = text.match_indices(WIDE_COLON).map(|(at, sign)| (at, at + sign.len())).next();
    let encoded = ["3A", "3a"].into_iter().filter_map(|digits| {
        let (at, _) = text.match_indices(digits).find(|(at, _)| is_escape(text, *at))?;
        Some((text.get(..at)?.rfind('%')?, at + digits.len()))
    });
    plain.into_iter().chain(wide).chain(encoded).min()
}

#[cfg(test)]
mod tests {
    use super::shown;

    #[test]
    fn what_may_be_a_secret_is_left_out() {
        let expected = [
            ("https://a", "https://a"),
            ("https://a:6443/b", "https://a:6443/b"),
            ("https://a:", "https://a:"),
            ("https://[::1]:6443/b", "https://[::1]:6443/b"),
            ("https://[::1]", "https://[::1]"),
            ("https://a:99999", "https://a:…"),
            ("https://a:port", "https://a:…"),
            ("https://admin:7hunter2%40spoke.example:6443", "https://…@spoke.example:6443"),
            ("https://admin:7hunter2%2540spoke.example", "https://…@spoke.example"),
            ("https://admin:7hunter2", "https://admin:…"),
            ("https://admin:70hunter2", "https://admin:…"),
            ("https://admin%3Ahunter2", "https://admin:…"),
            ("https://admin%253ahunter2", "https://admin:…"),
            ("https://admin%3Ahunter2@spoke.example", "https://…@spoke.example"),
            ("https://user@a/b", "https://…@a/b"),
            ("https://a/b?c=d#e", "https://a/b?…"),
            ("https://a/b#e", "https://a/b#…"),
            ("https://a?x=hunter2@b", "https://a?…"),
            ("https://a:p?q#hunter2@b", "https://…"),
            ("https://a b?x=hunter2@b", "https://…"),
            ("https://u:12/s@a", "https://…@a"),
            ("https://a:6443:hunter2", "https://a:…"),
            ("https://a:6443/x:hunter2", "https://a:6443/x:…"),
            ("https://a/x:hunter2", "https://a/x:…"),
            ("https://a/x:443", "https://a/x:…"),
            ("http:/a:hunter2@p", "http:/…@p"),
            ("admin:hunter2", "admin:…"),
            ("p:3128", "p:3128"),
            ("not-a-url", "not-a-url"),
            ("mailto:a@b", "…@b"),
            ("https:a", "https:…"),
            ("ftp://p", "ftp://p"),
            ("", ""),
            ("https://admin:/hunter2@spoke.example:6443", "https://…@spoke.example:6443"),
            ("https://admin:/hunter2%40spoke.example", "https://…@spoke.example"),
            ("https://admin://hunter2@spoke.example", "https://…@spoke.example"),
            ("https://admin:/hunter2", "https://admin:…"),
            ("https://admin:?hunter2@spoke.example", "https://admin:?…"),
            ("https://admin:#hunter2@spoke.example", "https://…"),
            ("admin:/hunter2@spoke.example", "admin:/…@spoke.example"),
            ("https://admin:hunter2\u{ff20}spoke.example", "https://…@spoke.example"),
            ("https://admin\u{ff1a}hunter2\u{fe6b}spoke.example", "https://…@spoke.example"),
            ("https://admin:hunter2%ef%bc%a0spoke.example", "https://admin:…"),
            ("https://admin\u{ff1a}hunter2", "https://admin:…"),
            ("https://b\u{fc}cher.example", "https://b\u{fc}cher.example"),
        ];
        for (url, expected) in expected {
            assert_eq!(shown(url), expected, "{url}");
        }
    }
}
