//! Hosts and ports of valid URLs that consumers cannot reach.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::{
    review::Wording,
    syntax::url::{self, Url},
};

/// What is wrong with the port of a server; without digits it is the scheme's.
pub(super) fn port_problem(url: &Url<'_>) -> Option<Wording<'static>> {
    let is_sound = url.port.is_empty() || url.port.parse::<u32>().is_ok_and(|port| (1..=65_535).contains(&port));
    let warning = "has a port outside 1 to 65535, so consumers cannot connect; correct it";
    (!is_sound).then(|| Wording::new("the port must be between 1 and 65535", warning))
}

/// What is wrong with the host of a server.
pub(super) fn problem(url: &Url<'_>) -> Option<Wording<'static>> {
    if is_loopback(url.host) {
        let warning = "is loopback: a consumer that connects to it reaches itself; use the member cluster's host";
        Some(Wording::new("must not be loopback: a consumer would reach itself", warning))
    } else if is_placeholder(url.host) {
        let warning = "has a placeholder as its host, so consumers cannot connect; use the member cluster's host";
        Some(Wording::new("must have the member cluster's host, not a placeholder", warning))
    } else {
        None
    }
}

/// What is wrong with the userinfo of a server; `access-secret` reports one with a password.
pub(super) fn userinfo_problem(server: &Url<'_>) -> Option<Wording<'static>> {
    let is_wrong =
        server.userinfo.is_some_and(|userinfo| !userinfo.is_empty() && !url::any_decoding(userinfo, url::is_pair));
    let warning = "has userinfo, which consumers send in place of the plugin's credentials; remove it";
    is_wrong.then(|| Wording::new("must not have userinfo: consumers authenticate with their plugin", warning))
}

/// Whether it is the machine itself: `localhost` (RFC 6761), `127.0.0.0/8`, `::1`, or the unspecified address, which also
/// connects to the machine itself.
fn is_loopback(host: &str) -> bool {
    let name = host.strip_suffix('.').unwrap_or(host);
    let last = name.rsplit('.').next().unwrap_or(name);
    let is_own = |address: Ipv4Addr| address.is_loopback() || address.is_unspecified();
    match host.parse::<IpAddr>() {
        Ok(IpAddr::V4(address)) => is_own(address),
        Ok(IpAddr::V6(address)) => {
            address.to_ipv4_mapped().map_or(address == Ipv6Addr::LOCALHOST || address.is_unspecified(), is_own)
        }
        Err(_) => last.eq_ignore_ascii_case("localhost"),
    }
}

/// Whether it is a placeholder that a template left behind. Go accepts `<` and `>` in a host, but no name server does.
///
/// The names of RFC 2606 (`example.com`) are not placeholders: documents and tests use them on purpose. `invalid` never
/// resolves (RFC 6761).
fn is_placeholder(host: &str) -> bool {
    const WORDS: [&str; 12] = [
        "changeme",
        "change-me",
        "change_me",
        "fixme",
        "placeholder",
        "replaceme",
        "replace-me",
        "replace_me",
        "tbd",
        "todo",
        "xxx",
        "xxxx",
    ];
    const BEGINNINGS: [&str; 9] = [
        "your-",
        "your_",
        "yourcluster",
        "yourcompany",
        "yourdomain",
        "yourhost",
        "yourserver",
        "replace-with-",
        "insert-",
    ];
    let name = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    let is_word =
        |label: &str| WORDS.contains(&label) || BEGINNINGS.iter().any(|beginning| label.starts_with(beginning));
    let mut labels = name.split('.');
    // `MEMBER_ENDPOINT` is the name of a variable.
    let is_variable = host.contains('_') && !host.contains(|letter: char| letter.is_lowercase() || letter == '.');
    host.contains(['<', '>', '$', '*'])
        || is_variable
        || labels.any(is_word)
        || name.split('.').all(|label| label.is_empty() || label == "x")
        || name.rsplit('.').next() == Some("invalid")
}

#[cfg(test)]
mod tests {
    use super::{is_loopback, is_placeholder};

    #[test]
    fn placeholders_are_hosts_of_templates() {
        let placeholders = [
            "<member-endpoint>",
            "<api>.example.com",
            "$HOST",
            "*",
            "your-cluster.example.com",
            "api.yourdomain.com",
            "CHANGEME",
            "change-me.example",
            "MEMBER_ENDPOINT",
            "x.x.x.x",
            "...",
            "placeholder",
            "api.invalid",
        ];
        for host in placeholders {
            assert!(is_placeholder(host), "{host}");
        }
        let hosts = [
            "a",
            "A",
            "spoke-1.example.com",
            "x1",
            "yours.org",
            "a_b",
            "10.0.0.1",
            "bücher.example",
            "xx.example",
            "todos.org",
            "a%25b",
        ];
        for host in hosts {
            assert!(!is_placeholder(host), "{host}");
        }
    }

    #[test]
    fn loopback_is_the_machine_itself() {
        for host in [
            "localhost",
            "LocalHost.",
            "a.localhost",
            "127.0.0.1",
            "127.8.9.1",
            "::1",
            "::ffff:127.0.0.1",
            "0.0.0.0",
            "::",
        ] {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["localhost.example.com", "128.0.0.1", "::2", "fe80::1", "mylocalhost"] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
