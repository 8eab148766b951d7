//! `access-server`: the URL to which a consumer sends its credentials.

use super::{URL_LIMIT, clusters, denied_by_v1alpha2};
use crate::{
    field_path::FieldPath,
    profile::Field,
    review::{Change, Effect, Problem, Reporter, Rule, Value, Wording},
    syntax::{is_longer, url},
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

fn server<'a>(change: &Change<'a>, reporter: &mut Reporter<'_, 'a>) {
    for (item, cluster) in clusters(change) {
        let path = || item.path().field("cluster").field("server");
        let effect = denied_by_v1alpha2(change);
        match cluster.server() {
            Field::Absent => {
                reporter.report(path, Problem::Required(REQUIRED.into()));
            }
            Field::Set("") => {
                let warning = "empty, so consumers cannot connect; set the https URL of the member cluster";
                reporter.report_as(effect, path, Problem::Empty(Wording::new(REQUIRED, warning)));
            }
            Field::Set(server) if is_longer(server, URL_LIMIT) => {
                reporter.report_as(effect, path, Problem::TooLong(server.into(), URL_LIMIT));
            }
            Field::Set(server) => check_url(server, effect, path, reporter),
            Field::Mistyped(_) => {}
        }
    }
}

const REQUIRED: &str = "must be the https URL of the member cluster";

fn check_url<'a>(server: &'a str, effect: Effect, path: impl Fn() -> FieldPath<'a>, reporter: &mut Reporter<'_, 'a>) {
    let problem = |wording| Problem::Invalid(Value::Url(server.into()), wording);
    let Some(url) = url::parse(server).filter(|url| url.is(&["https", "http"])) else {
        let warning = "is not an https URL with a host, so consumers cannot connect";
        let wording = Wording::new("must be an https URL with a host", warning);
        return reporter.report_as(effect, path, problem(wording));
    };
    let http = "is not encrypted: consumers would send credentials in clear text; use https";
    let wordings = [
        url.is(&["http"]).then(|| Wording::new("must use https", http)),
        host::port_problem(&url),
        host::problem(&url),
        host::userinfo_problem(&url),
    ];
    for wording in wordings.into_iter().flatten() {
        reporter.report_as(Effect::Warn, &path, problem(wording));
    }
}
