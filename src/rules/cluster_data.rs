//! `status.accessProviders[*].cluster`: where a consumer sends its credentials, and whom it trusts there.

use base64::{
    Engine as _,
    alphabet::STANDARD,
    engine::{GeneralPurpose, GeneralPurposeConfig},
};
use x509_parser::{parse_x509_certificate, pem::Pem};

use super::{
    Change, Effect, Level, Phase, Problem, Report, Rule, Value,
    access_providers::{Last, clusters, denied_by_v1alpha2, is_stored_ca, is_used},
    syntax, url,
};
use crate::profile::Field;

/// Longest URL that v1alpha2 takes.
const URL_LIMIT: usize = 2048;

/// `access-server`
pub(super) static SERVER: Rule = Rule {
    name: "access-server",
    summary: "`cluster.server` is an absolute `https` URL with a host, of at most 2048 characters; path and query are fine",
    source: "KEP-5339; v1alpha2 schema",
    effect: Effect::Deny,
    exceptions: "v1alpha1: Warn, but Deny when absent; `http` is a Warn in both",
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
                report.deny(path(), Problem::Required("must be the https URL of the member cluster".into()));
            }
            Field::Set(server) if server.is_empty() => {
                report.add(level, path(), Problem::Empty("must be the https URL of the member cluster".into()));
            }
            Field::Set(server) if is_too_long(server) => {
                report.add(level, path(), Problem::TooLong(server.as_ref().into(), URL_LIMIT));
            }
            Field::Set(server) => match url::parse(server) {
                Some(url) if url.is(&["https"]) => {}
                Some(url) if url.is(&["http"]) => {
                    let detail = "must be https";
                    report.warn(path(), Problem::Invalid(url_value(server), detail.into()));
                }
                _ => report.add(
                    level,
                    path(),
                    Problem::Invalid(url_value(server), "must be an https URL with a host".into()),
                ),
            },
            Field::Mistyped(_) => {}
        }
    }
}

/// `access-tls`
pub(super) static TLS: Rule = Rule {
    name: "access-tls",
    summary: "`insecure-skip-tls-verify` is not true, `certificate-authority` (a file path) is not used, `tls-server-name` \
              is at most 253 characters",
    source: "KEP-4322 Cluster Data; v1alpha2 schema",
    effect: Effect::Warn,
    exceptions: "v1alpha2: Deny for `tls-server-name`",
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
            let detail = "must not be true";
            report.warn(path("insecure-skip-tls-verify"), Problem::Forbidden(Value::hidden("true"), detail.into()));
        }
        if is_used(&cluster.certificate_authority, |file| file.is_empty(), change) {
            let file = cluster.certificate_authority.text().unwrap_or_default();
            let detail = "must be certificate-authority-data";
            report.warn(path("certificate-authority"), Problem::Forbidden(Value::hidden(file), detail.into()));
        }
        if let Some(name) = cluster.tls_server_name.text().filter(|name| name.chars().count() > syntax::SUBDOMAIN_LIMIT)
        {
            let problem = Problem::TooLong(name.into(), syntax::SUBDOMAIN_LIMIT);
            report.add(denied_by_v1alpha2(change), path("tls-server-name"), problem);
        }
    }
}

/// `access-ca`
pub(super) static CA: Rule = Rule {
    name: "access-ca",
    summary: "`certificate-authority-data` is base64 of PEM certificates, of which at least one has not expired",
    source: "CRD format; client-go",
    effect: Effect::Deny,
    exceptions: "Warn when it is base64, but of no PEM certificates or of expired ones alone",
    fix: "",
    phase: Phase::Validate,
    since: "0.1.0",
    docs: include_str!("docs/access-ca.md"),
    check: ca,
};

fn ca<'a>(change: &Change<'a>, report: &mut Report<'a>) {
    let mut last = Last::new();
    for (item, cluster) in clusters(change) {
        let Some(data) = cluster.certificate_authority_data.text() else { continue };
        // What the stored object has, too, is not worth the time that parsing takes: nothing would be told of it.
        let is_known = is_stored_ca(&item, data, change) && !report.tells_stored(Level::Warn);
        let depth = if is_known { Depth::Encoding } else { Depth::Certificates };
        if let Some((level, detail)) = last.of((data, depth), || ca_problem(data, depth, change)) {
            let path = item.path().field("cluster").field("certificate-authority-data");
            report.add(level, path, Problem::Invalid(Value::hidden(data), detail.into()));
        }
    }
}

/// How far into CA data one looks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Depth {
    Encoding,
    Certificates,
}

fn ca_problem(data: &str, depth: Depth, change: &Change<'_>) -> Option<(Level, &'static str)> {
    let Some(pem) = decode(data).filter(|pem| !pem.is_empty()) else {
        let is_broken = decode(&data.replace(['\r', '\n'], "")).is_some_and(|pem| !pem.is_empty());
        let detail = if is_broken { "must be without line breaks" } else { "must be PEM in base64 or absent" };
        return Some((Level::Deny, detail));
    };
    if depth == Depth::Encoding {
        return None;
    }
    match expiries(&pem) {
        None => Some((Level::Warn, "must hold PEM certificates")),
        Some(expiries) if expiries.iter().all(|expiry| *expiry < change.now.as_second()) => {
            Some((Level::Warn, "must not have expired"))
        }
        Some(_) => None,
    }
}

/// The bytes behind base64 as the CRD and Go take it: padded, on one line, whatever its last bits are.
fn decode(text: &str) -> Option<Vec<u8>> {
    const ENGINE: GeneralPurpose =
        GeneralPurpose::new(&STANDARD, GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true));
    ENGINE.decode(text).ok()
}

/// When each certificate of a bundle expires, in Unix seconds; none where there is none, or one that is broken.
///
/// Go skips blocks of every other label, and so trusts nobody by a `TRUSTED CERTIFICATE`.
fn expiries(pem: &[u8]) -> Option<Vec<i64>> {
    let blocks = Pem::iter_from_buffer(pem).collect::<Result<Vec<_>, _>>().ok()?;
    let expiries = blocks.iter().filter(|block| block.label == "CERTIFICATE").map(|block| {
        let (_, certificate) = parse_x509_certificate(&block.contents).ok()?;
        Some(certificate.validity().not_after.timestamp())
    });
    expiries.collect::<Option<Vec<_>>>().filter(|expiries| !expiries.is_empty())
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
            report.add(level, path(), Problem::TooLong(url.into(), URL_LIMIT));
        } else if !url::parse(url).is_some_and(|url| url.is(&["http", "https", "socks5"])) {
            let detail = "must be an http(s) or socks5 URL";
            report.add(level, path(), Problem::Invalid(url_value(url), detail.into()));
        }
    }
}

fn is_too_long(url: &str) -> bool {
    url.len() > URL_LIMIT && url.chars().count() > URL_LIMIT
}

/// A URL as a message may show it: whole, unless it holds userinfo, a query, or a port that is none and may be a password.
fn url_value(url: &str) -> Value<'_> {
    let port = url.splitn(3, ':').nth(2);
    let is_no_port = port.is_some_and(|port| !port.starts_with(|first: char| first.is_ascii_digit()));
    if is_no_port || url.contains(['@', '?']) { Value::hidden(url) } else { Value::of(url) }
}
