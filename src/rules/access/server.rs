//! `access-server`: where a consumer sends its credentials.

use super::{URL_LIMIT, clusters, denied_by_v1alpha2, is_too_long};
use crate::{
    field_path::FieldPath,
    profile::Field,
    review::{Change, Effect, Level, Problem, Report, Rule, Value},
    syntax::url,
};

mod host;

/// `access-server`
pub(crate) static SERVER: Rule = Rule {
    name: "access-server",
    summary: "`cluster.server` is an absolute `https` URL of at most 2048 characters, with a host and port that a consumer can \
              reach and without userinfo; path and query are fine",
    source: "KEP-5339; v1alpha2 schema",
    effect: Effect::Deny,
    exceptions: "v1alpha1: Warn, but Deny when absent; in both versions Warn for `http`, a port outside 1 to 65535, a host that \
                 is a placeholder or loopback, and userinfo without a password",
    since: "0.1.0",
    docs: include_str!("../docs/access-server.md"),
    check: server,
    ..Rule::VALIDATING
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
