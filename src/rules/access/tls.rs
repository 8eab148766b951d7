//! `access-tls`: how a consumer verifies the server.

use std::net::IpAddr;

use super::{clusters, denied_by_v1alpha2, is_used};
use crate::{
    profile::{Cluster, Field},
    review::{Change, Effect, Problem, Report, Rule, Value},
    syntax,
};

/// `access-tls`
pub(crate) static TLS: Rule = Rule {
    name: "access-tls",
    summary: "`insecure-skip-tls-verify` is not true, also because clients refuse it beside CA data; `certificate-authority` (a \
              file path) is not used; `tls-server-name` is a DNS name or an address of at most 253 characters, no URL",
    source: "KEP-4322 Cluster Data; client-go; v1alpha2 schema",
    effect: Effect::Warn,
    exceptions: "v1alpha2: Deny for a `tls-server-name` of more than 253 characters",
    since: "0.1.0",
    docs: include_str!("../docs/access-tls.md"),
    check: tls,
    ..Rule::VALIDATING
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
