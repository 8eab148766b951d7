//! `access-tls`: how a consumer verifies the server's certificate.

use std::net::IpAddr;

use super::{clusters, denied_by_v1alpha2, is_used};
use crate::{
    profile::{Cluster, Field},
    review::{Change, Effect, Problem, Reporter, Rule, Value, Wording},
    syntax,
};

/// `access-tls`
pub(crate) static TLS: Rule = Rule {
    name: "access-tls",
    summary: "`insecure-skip-tls-verify` is not true (consumers also refuse it next to CA data); `certificate-authority` (a file \
              path) is not used; `tls-server-name` is a DNS name or an address of at most 253 characters, no URL",
    source: "KEP-4322 Cluster Data; client-go; v1alpha2 schema",
    effect: Effect::Warn,
    exceptions: "v1alpha2: Deny for a `tls-server-name` of more than 253 characters",
    since: "0.1.0",
    docs: include_str!("../docs/access-tls.md"),
    check: tls,
    ..Rule::VALIDATING
};

fn tls<'a>(change: &Change<'a>, reporter: &mut Reporter<'_, 'a>) {
    for (item, cluster) in clusters(change) {
        let path = |field| item.path().field("cluster").field(field);
        if cluster.insecure_skip_tls_verify() == Field::Set(true) {
            let wording = if has_ca(cluster) {
                let warning = "consumers refuse this together with a CA; remove insecure-skip-tls-verify";
                Wording::new("must not be true: consumers refuse it together with a CA", warning)
            } else {
                let warning = "consumers will not verify this server: remove it and set certificate-authority-data";
                Wording::new("must not be true", warning)
            };
            reporter.report(path("insecure-skip-tls-verify"), Problem::Forbidden(Value::hidden("true"), wording));
        }
        if is_used(&cluster.certificate_authority(), |file| file.is_empty(), change) {
            let file = cluster.certificate_authority().text().unwrap_or_default();
            let warning =
                "names a file that consumers do not have; put the CA certificate into certificate-authority-data";
            let wording = Wording::new("must not be used; use certificate-authority-data", warning);
            reporter.report(path("certificate-authority"), Problem::Forbidden(Value::hidden(file), wording));
        }
        let Some(name) = cluster.tls_server_name().text().filter(|name| !name.is_empty()) else { continue };
        if syntax::is_longer(name, syntax::SUBDOMAIN_LIMIT) {
            let problem = Problem::TooLong(name.into(), syntax::SUBDOMAIN_LIMIT);
            reporter.report_as(denied_by_v1alpha2(change), path("tls-server-name"), problem);
        } else if !is_server_name(name) {
            let warning = "matches no certificate: use a DNS name or an IP address, without scheme, port and path";
            let requirement = "must be a DNS name or an IP address, without scheme, port and path";
            let problem = Problem::Invalid(Value::Url(name.into()), Wording::new(requirement, warning));
            reporter.report(path("tls-server-name"), problem);
        }
    }
}

/// Whether the cluster has a CA, as data or as a file: client-go's `TLSConfigFor` refuses one next to
/// `insecure-skip-tls-verify`.
fn has_ca(cluster: Cluster<'_>) -> bool {
    [cluster.certificate_authority_data(), cluster.certificate_authority()]
        .iter()
        .any(|ca| ca.text().is_some_and(|ca| !ca.is_empty()))
}

/// Whether Go's `VerifyHostname` can match the name with a certificate: underscores are in use, and an address may be in
/// brackets.
fn is_server_name(name: &str) -> bool {
    let is_label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    let address = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(name);
    address.parse::<IpAddr>().is_ok() || name.strip_suffix('.').unwrap_or(name).split('.').all(is_label)
}
