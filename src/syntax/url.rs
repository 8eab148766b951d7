//! Parses URLs as the CRD's CEL and Go's `net/url` do.
//!
//! Covers only the needs of the rules: absolute URLs with a host, the userinfo, and the part that a message may show.
//! Parsers for RFC 3986 and WHATWG accept other texts: `http::Uri` accepts `https://a:port` and refuses `https://a/b
//! c`; `url` accepts `https:a`.

use std::net::Ipv6Addr;

pub(crate) use self::{
    encoded::{any_decoding, narrow},
    password::{has_password, is_pair},
    shown::shown,
};

mod encoded;
mod password;
mod shown;

/// An absolute URL that names a host.
#[derive(Debug, PartialEq)]
pub(crate) struct Url<'a> {
    /// The scheme in its original case; compare it with [`Url::is`].
    scheme: &'a str,
    /// The text before the host's `@`, not decoded.
    pub(crate) userinfo: Option<&'a str>,
    /// The host, not decoded. An IPv6 address has no brackets and no zone.
    pub(crate) host: &'a str,
    /// The digits of the port; may be empty.
    pub(crate) port: &'a str,
    /// The text after the first `?`, with the fragment.
    query: &'a str,
}

impl Url<'_> {
    /// Whether the scheme is one of `schemes`, in either case.
    pub(crate) fn is(&self, schemes: &[&str]) -> bool {
        schemes.iter().any(|scheme| self.scheme.eq_ignore_ascii_case(scheme))
    }

    /// Whether a query parameter has a value and is named like a secret.
    pub(crate) fn has_secret_parameter(&self) -> bool {
        /// Bounds the memory, because the words of a name take many times its bytes. Real names are shorter.
        const NAME_LIMIT: usize = 256;
        self.query.split(['&', ';', '#', '?']).any(|parameter| {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            !value.is_empty() && name.len() <= NAME_LIMIT && any_decoding(name, encoded::names_a_secret)
        })
    }
}

/// Parses an absolute URL that names a host.
pub(crate) fn parse(text: &str) -> Option<Url<'_>> {
    let (scheme, rest) = text.split_once(':').filter(|(scheme, _)| is_scheme(scheme))?;
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let rest = rest.strip_prefix("//")?;
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let (userinfo, host) = authority.rsplit_once('@').map_or((None, authority), |(user, host)| (Some(user), host));
    let fragment = query.split_once('#').map_or("", |(_, fragment)| fragment);
    let (host, port) = split_port(host, scheme)?;
    let is_sound = !text.contains(|letter: char| letter.is_ascii_control())
        && userinfo.is_none_or(|userinfo| userinfo.bytes().all(is_userinfo) && has_escapes(userinfo, |_| true))
        && has_escapes(path, |_| true)
        && has_escapes(fragment, |_| true);
    is_sound.then_some(Url { scheme, userinfo, host, port, query })
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

fn is_userinfo(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._:~!$&'()*+,;=%@".contains(&byte)
}

/// Splits a host from the digits of its port. Returns `None` for an invalid host.
fn split_port<'a>(host: &'a str, scheme: &str) -> Option<(&'a str, &'a str)> {
    if host.contains('[') {
        let literal = host.strip_prefix('[').filter(|rest| !rest.contains('['))?;
        let (address, port) = literal.rsplit_once(']')?;
        let (address, zone) = address.split_once("%25").map_or((address, None), |(ip, zone)| (ip, Some(zone)));
        let is_sound = address.parse::<Ipv6Addr>().is_ok() && zone.is_none_or(is_zone);
        return Some((address, port_of(port)?)).filter(|_| is_sound);
    }
    let is_http = ["http", "https"].iter().any(|http| scheme.eq_ignore_ascii_case(http));
    let colon = if is_http { host.find(':') } else { host.rfind(':') };
    let (name, port) = host.split_at(colon.unwrap_or(host.len()));
    let is_sound = !name.is_empty()
        && name.bytes().all(|byte| byte == b'%' || is_host_byte(byte))
        && has_escapes(name, |byte| byte == b'%' || !byte.is_ascii());
    Some((name, port_of(port)?)).filter(|_| is_sound)
}

fn is_zone(zone: &str) -> bool {
    !zone.is_empty()
        && zone.bytes().all(|byte| byte == b'%' || is_host_byte(byte))
        && has_escapes(zone, |byte| b"% ".contains(&byte) || (byte.is_ascii() && is_host_byte(byte)))
}

fn is_host_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || !byte.is_ascii() || b"-_.~!$&'()*+,;=:[]<>\"".contains(&byte)
}

/// Returns the digits after the colon, or an empty text if there are none or `text` is empty.
fn port_of(text: &str) -> Option<&str> {
    let digits = if text.is_empty() { text } else { text.strip_prefix(':')? };
    digits.bytes().all(|byte| byte.is_ascii_digit()).then_some(digits)
}

/// Whether two hexadecimal digits of an allowed byte follow each `%`.
fn has_escapes(text: &str, allowed: fn(u8) -> bool) -> bool {
    text.split('%').skip(1).all(|after| escape(after).is_some_and(allowed))
}

/// Decodes the two hexadecimal digits after a `%`.
fn escape(after: &str) -> Option<u8> {
    let digits = after.get(..2).filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))?;
    u8::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::parse;

    /// The API server's code accepts these for the CRD's `server` (`isURL(self) && url(self).getHost() != ''`).
    const TAKEN: &[&str] = &[
        "https://a:99999",
        "https://a:",
        "https://[::1]:",
        "https://[::1]:6443",
        "https://[::1]",
        "https://[::ffff:1.2.3.4]",
        "https://[fe80::1%25eth0]:6443",
        "https://[fe80::1%25a%20b]",
        "https://[fe80::1%25%41]",
        "https://[fe80::1%25é]",
        "https://[1:2:3:4:5:6:7::]",
        "https://a]b",
        "HTTPS://A",
        "https://a%25b",
        "https://%c3%bc",
        "https://%c3",
        "https://bücher.example",
        "https://a\u{200b}",
        "https://a,b",
        "https://a;b",
        "https://a=b",
        "https://a$b",
        "https://a~b",
        "https://a_b",
        "https://a!b",
        "https://a'b",
        "https://a(b)",
        "https://*",
        "https://a+b",
        "https://a\"b",
        "https://a<b>",
        "https://a/#frag",
        "https://a?b#c",
        "https://a",
        "https://a/b c",
        "https://a?b c",
        "https://a/`",
        "https://a/<x>",
        "https://a/{x}",
        "https://a/\\",
        "https://a/[x]",
        "https://a/%41",
        "https://a?x=%zz",
        "https://a?",
        "https://a??",
        "https://a?b?c",
        "https://a/ü",
        "https://user@a",
        "https://user:@a",
        "https://user:p@a",
        "https://@a",
        "https://u@s@a",
        "https://u%41:%40@a",
        "https://u/s@a",
        "https://u:12/s@a",
        "https://a/u:p@b",
        "https://1.2.3.4:443/x?y=z#w",
        "https://[::1]:6443/x",
        "https://[::1]/[x",
        "https://a/:b",
        "http://a",
        "ftp://a",
        "socks5://a:1:2",
        "socks5://::1",
        "socks5://a:b:2",
        "socks5h://a",
        "socks5://u:p@a:1080",
        "x.y+z-1://a",
        "https://a/b?c=d/e@f",
        "https://a/#%41",
        "https://a?b#%41",
        "https://[::ffff:1.2.3.4%25eth0]",
        "https://a:@b",
    ];

    /// The API server's code refuses these.
    const REFUSED: &[&str] = &[
        "https://a:port",
        "https://a:-1",
        "https://[::1]:port",
        "https://[::1",
        "https://::1",
        "https://a::1",
        "https://[zzz]",
        "https://[::1]x",
        "https://a[::1]",
        "https://[v1.x]",
        "https://[1.2.3.4]",
        "https://[::1%zone]",
        "https://[fe80::1%25]",
        "https://[fe80::1%25a b]",
        "https://[fe80::1%25%2f]",
        "https://[fe80::1%25a#]",
        "https://[1:2:3:4:5:6:7:8:9]",
        "https://[12345::]",
        "https://[]",
        "https://[::1%25a[]",
        "https://[a",
        "https://",
        "https:///x",
        "https:a",
        "https:/a",
        "https:",
        "https",
        "/a",
        "a:6443",
        "*",
        "",
        "ht_tps://a",
        "1https://a",
        " https://a",
        "https://a\t/",
        "https://a/\u{7f}",
        "https://a%zz",
        "https://%41",
        "https://a b",
        "https://a#frag",
        "https://a^b",
        "https://a`b",
        "https://a{b}",
        "https://a\\b",
        "https://a|b",
        "https://a/%zz",
        "https://a/%4",
        "https://a/%",
        "https://us er@a",
        "https://üser@a",
        "https://u%zz@a",
        "https://u[@a",
        "https://u:p@",
        "https://a\n",
        "https://a\r\n/x",
        "https://a:1:2",
        "socks5://a:1:b",
        "mailto:a@b",
        "https://a?b#%zz",
        "https://a@",
    ];

    /// The API server accepts these, but no client can connect: a port without a host, a host without a scheme.
    const USELESS: &[&str] = &["https://:6443", "//a"];

    #[test]
    fn takes_what_the_crd_takes() {
        for url in TAKEN {
            assert!(parse(url).is_some(), "{url:?}");
        }
        for url in REFUSED.iter().chain(USELESS) {
            assert!(parse(url).is_none(), "{url:?}");
        }
    }
}
