//! `status.accessProviders[*].cluster`: where a consumer sends its credentials, and whom it trusts there.

use std::net::IpAddr;

pub(super) use self::ca::{CA, decode};
use super::{
    Change, Effect, Level, Phase, Problem, Report, Rule, Value,
    access_providers::{clusters, denied_by_v1alpha2, is_used},
    syntax, url,
};
use crate::{
    field::FieldPath,
    profile::{Cluster, Field},
};

mod ca;
mod certificate;
mod der;
mod host;
mod pem;

/// Longest URL that v1alpha2 takes.
const URL_LIMIT: usize = 2048;

/// `access-server`
pub(super) static SERVER: Rule = Rule {
    name: "access-server",
    summary: "`cluster.server` is an absolute `https` URL of at most 2048 characters, with a host and port that a consumer can \
              reach and without userinfo; path and query are fine",
    source: "KEP-5339; v1alpha2 schema",
    effect: Effect::Deny,
    exceptions: "v1alpha1: Warn, but Deny when absent; in both versions Warn for `http`, a port outside 1 to 65535, a host that \
                 is a placeholder or loopback, and userinfo without a password",
    fix: "",
    phase: Phase::Validate,
    since: "0.1.0",
    docs: include_str!("docs/access-server.md"),
    check: server,
};

fn server<'a>(change: &Change<'a>, report: &mut Report<'a>) {
    for (item, cluster) in clusters(change) {
        let path = || item.path().field("cluster").field("server");
        let level = denied_by_v1alpha2(change);
        match &cluster.server {
            Field::Absent => {
                report.deny(path, Problem::Required("must be the https URL of the member cluster".into()));
            }
            Field::Set(server) if server.is_empty() => {
                report.add(level, path, Problem::Empty("must be the https URL of the member cluster".into()));
            }
            Field::Set(server) if is_too_long(server) => {
                report.add(level, path, Problem::TooLong(server.as_ref().into(), URL_LIMIT));
            }
            Field::Set(server) => check_url(server, level, path, report),
            Field::Mistyped(_) => {}
        }
    }
}

fn check_url<'a>(server: &'a str, level: Level, path: impl Fn() -> FieldPath<'a>, report: &mut Report<'a>) {
    let Some(url) = url::parse(server).filter(|url| url.is(&["https", "http"])) else {
        let detail = "must be an https URL with a host";
        return report.add(level, path, Problem::Invalid(Value::Url(server.into()), detail.into()));
    };
    let problems = [
        url.is(&["http"]).then_some("must be https"),
        host::port_problem(&url),
        host::problem(&url),
        host::userinfo_problem(&url),
    ];
    for detail in problems.into_iter().flatten() {
        report.warn(&path, Problem::Invalid(Value::Url(server.into()), detail.into()));
    }
}

/// `access-tls`
pub(super) static TLS: Rule = Rule {
    name: "access-tls",
    summary: "`insecure-skip-tls-verify` is not true, also because clients refuse it beside CA data; `certificate-authority` (a \
              file path) is not used; `tls-server-name` is a DNS name or an address of at most 253 characters, no URL",
    source: "KEP-4322 Cluster Data; client-go; v1alpha2 schema",
    effect: Effect::Warn,
    exceptions: "v1alpha2: Deny for a `tls-server-name` of more than 253 characters",
    fix: "",
    phase: Phase::Validate,
    since: "0.1.0",
    docs: include_str!("docs/access-tls.md"),
    check: tls,
};

fn tls<'a>(change: &Change<'a>, report: &mut Report<'a>) {
    for (item, cluster) in clusters(change) {
        let path = |field| item.path().field("cluster").field(field);
        if cluster.insecure_skip_tls_verify == Field::Set(true) {
            let detail =
                if has_ca(cluster) { "must not be true: clients refuse it beside CA data" } else { "must not be true" };
            report.warn(path("insecure-skip-tls-verify"), Problem::Forbidden(Value::hidden("true"), detail.into()));
        }
        if is_used(&cluster.certificate_authority, |file| file.is_empty(), change) {
            let file = cluster.certificate_authority.text().unwrap_or_default();
            let detail = "must be certificate-authority-data";
            report.warn(path("certificate-authority"), Problem::Forbidden(Value::hidden(file), detail.into()));
        }
        let Some(name) = cluster.tls_server_name.text().filter(|name| !name.is_empty()) else { continue };
        if name.len() > syntax::SUBDOMAIN_LIMIT && name.chars().count() > syntax::SUBDOMAIN_LIMIT {
            let problem = Problem::TooLong(name.into(), syntax::SUBDOMAIN_LIMIT);
            report.add(denied_by_v1alpha2(change), path("tls-server-name"), problem);
        } else if !is_server_name(name) {
            let detail = "must be a DNS name or an IP address, without scheme, port and path";
            report.warn(path("tls-server-name"), Problem::Invalid(Value::Url(name.into()), detail.into()));
        }
    }
}

/// client-go's `TLSConfigFor` fails where there is both a CA, as data or as a file, and the leave to trust anybody.
fn has_ca(cluster: &Cluster<'_>) -> bool {
    [&cluster.certificate_authority_data, &cluster.certificate_authority]
        .iter()
        .any(|ca| ca.text().is_some_and(|ca| !ca.is_empty()))
}

/// Whether a certificate can be verified for that name, as Go's `VerifyHostname` takes it: underscores are in use, and an
/// address may stand in brackets.
fn is_server_name(name: &str) -> bool {
    let is_label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    let address = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(name);
    address.parse::<IpAddr>().is_ok() || name.strip_suffix('.').unwrap_or(name).split('.').all(is_label)
}

/// `access-proxy`
pub(super) static PROXY: Rule = Rule {
    name: "access-proxy",
    summary: "`proxy-url` is empty, or an `http`, `https` or `socks5` URL with a host, of at most 2048 characters",
    source: "client-go; v1alpha2 schema",
    effect: Effect::Deny,
    exceptions: "v1alpha1: Warn",
    fix: "",
    phase: Phase::Validate,
    since: "0.1.0",
    docs: include_str!("docs/access-proxy.md"),
    check: proxy,
};

fn proxy<'a>(change: &Change<'a>, report: &mut Report<'a>) {
    for (item, cluster) in clusters(change) {
        let Some(url) = cluster.proxy_url.text().filter(|url| !url.is_empty()) else { continue };
        let path = || item.path().field("cluster").field("proxy-url");
        let level = denied_by_v1alpha2(change);
        if is_too_long(url) {
            report.add(level, path, Problem::TooLong(url.into(), URL_LIMIT));
        } else if !url::parse(url).is_some_and(|url| url.is(&["http", "https", "socks5"])) {
            let detail = "must be an http(s) or socks5 URL";
            report.add(level, path, Problem::Invalid(Value::Url(url.into()), detail.into()));
        }
    }
}

fn is_too_long(url: &str) -> bool {
    url.len() > URL_LIMIT && url.chars().count() > URL_LIMIT
}
