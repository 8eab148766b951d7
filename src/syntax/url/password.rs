//! Passwords in the userinfo of URLs.

use super::{any_decoding, is_scheme, narrow, parse};

/// Whether the userinfo of a URL or of a malformed URL holds a password.
///
/// The password may be percent-encoded, and the `@` after it may be full-width. This parses a URL as Go does: the text
/// after `https://admin:/` is a path, even if its author meant a password. A URL inside the text, as in a list of URLs
/// or a query parameter, counts too.
pub(crate) fn has_password(text: &str) -> bool {
    any_decoding(text, has_inner_password)
        || match parse(text) {
            // An encoded `@` in the path or the query does not end the userinfo.
            Some(url) => {
                let before_at =
                    |host: &str| narrow(host).rsplit_once('@').is_some_and(|(userinfo, _)| is_pair(userinfo));
                url.userinfo.is_some_and(|userinfo| any_decoding(userinfo, is_pair))
                    || any_decoding(url.host, before_at)
            }
            None => any_decoding(text, |text| userinfo(&narrow(text)).is_some_and(is_pair)),
        }
}

/// Whether a URL inside the text has a password before an `@`.
///
/// Each part is searched up to the next URL, so the work stays linear. Digits before an `&`, `;` or `,` are a port, and the text
/// after them belongs to the outer URL.
fn has_inner_password(text: &str) -> bool {
    let has_port = |password: &str| {
        let after = password.trim_start_matches(|digit: char| digit.is_ascii_digit());
        after.len() < password.len() && after.starts_with(['&', ';', ','])
    };
    text.split("://").skip(2).any(|part| {
        let authority = narrow(authority(part));
        let userinfo = authority.rsplit_once('@').map(|(userinfo, _)| userinfo);
        let password = userinfo.and_then(|userinfo| userinfo.split_once(':'));
        // A bracket begins an IPv6 address, and `&` or `;` ends the inner URL's host before the colon.
        let password = password.filter(|(user, _)| !user.contains(['[', '&', ';'])).map(|(_, password)| password);
        password.is_some_and(|password| !password.is_empty() && !has_port(password))
    })
}

/// Returns the text before a path, query, fragment or white space.
fn authority(text: &str) -> &str {
    let end = text.find(|letter: char| "/?#".contains(letter) || letter.is_whitespace());
    text.get(..end.unwrap_or(text.len())).unwrap_or(text)
}

/// Whether the userinfo has a nonempty password.
pub(crate) fn is_pair(userinfo: &str) -> bool {
    userinfo.split_once(':').is_some_and(|(_, password)| !password.is_empty())
}

/// Returns the userinfo of a URL or of a malformed URL.
fn userinfo(text: &str) -> Option<&str> {
    if let Some(url) = parse(text) {
        return url.userinfo;
    }
    let (before, _) = text.rsplit_once('@')?;
    let scheme = before.split_once(":/").filter(|(scheme, _)| is_scheme(scheme));
    Some(scheme.map_or(before, |(_, rest)| rest.trim_start_matches('/')))
}

#[cfg(test)]
mod tests {
    use super::{has_password, userinfo};

    #[test]
    fn userinfo_of_what_is_no_url_ends_at_the_last_at() {
        let expected = [
            ("https://a:p@b", Some("a:p")),
            ("https://a/x:y@b", None),
            ("https://a?x:y@b", None),
            ("https://a:p/q@b", Some("a:p/q")),
            ("https://a:p?q#r@b", Some("a:p?q#r")),
            ("http:/a:p@b", Some("a:p")),
            ("//a:p@b", Some("//a:p")),
            ("a:p@b", Some("a:p")),
            ("a:p//q@b", Some("a:p//q")),
            ("https://b", None),
        ];
        for (text, expected) in expected {
            assert_eq!(userinfo(text), expected, "{text:?}");
        }
    }

    #[test]
    fn passwords_are_found_however_they_are_encoded() {
        let with = [
            "https://a:p@b",
            "https://a%3Ap@b",
            "https://a%3ap@b",
            "https://a%253Ap@b",
            "https://a:p%40b:6443",
            "https://a%3Ap%40b",
            "https:%2F%2Fa:p@b",
            "a%3Ap@b",
            "https://a:7p%40b",
            "https://a:%2Fp@b",
            "https://a:p\u{ff20}b",
            "https://a:p\u{fe6b}b",
            "https://a\u{ff1a}p@b",
            "https://a:p%EF%BC%A0b",
            "https://a:12\u{ff20}b:6443",
            "socks5://a:p\u{ff20}b:1080",
            "https://a:#p@b",
            "https://a,https://u:p@b",
            "https://a/x?to=https://u:p@b/y",
            "https://a/socks5://u%3Ap@b",
            "https://a,https://u:p,q@b",
            "https://a/x?to=https%3A%2F%2Fadmin%3Ahunter2%40b.example%2Fy",
            "https://a/x?to=https%3A//u:p@b",
            "https://a?to=https:%252F%252Fu:p%40b",
        ];
        let without = [
            "https://b",
            "https://a@b",
            "https://a:@b",
            "https://a%40b",
            "https://b:1/x%40y%3Az",
            "https://b?x=%3Ay@z",
            // Go reads these as a host with an empty port, and a path or a query.
            "https://a:/p@b",
            "https://a://p@b",
            "https://a:?p@b",
            "https://a,https://u@b",
            "https://a/https://b:1/u:p@c",
            "https://a?to=https://b:8443&user=me@corp.example",
            "https://a?next=https://b:8443;contact=me@corp",
            "https://a/p?to=https://[::1]:8443&contact=me@corp",
            "https://a?next=https://b&scope=repo:read&user=me@corp",
            "https://a/proxy/https://b:443,ops@corp",
            "https://a/x?to=https://b:443%2Fx%40y",
            "https://a\u{ff20}b",
            "https://b\u{fc}cher.example",
        ];
        for text in with {
            assert!(has_password(text), "{text}");
        }
        for text in without {
            assert!(!has_password(text), "{text}");
        }
    }
}
