//! `access-proxy`: the proxy through which a consumer connects.

use super::{URL_LIMIT, clusters, denied_by_v1alpha2};
use crate::{
    review::{Change, Effect, Problem, Reporter, Rule, Value, Wording},
    syntax::{is_longer, url},
};

/// `access-proxy`
pub(crate) static PROXY: Rule = Rule {
    name: "access-proxy",
    summary: "`proxy-url` is empty, or an `http`, `https` or `socks5` URL with a host, of at most 2048 characters",
    source: "client-go; v1alpha2 schema",
    effect: Effect::Deny,
    exceptions: "v1alpha1: Warn",
    since: "0.1.0",
    docs: include_str!("../docs/access-proxy.md"),
    check: proxy,
    ..Rule::VALIDATING
};

fn proxy<'a>(change: &Change<'a>, reporter: &mut Reporter<'_, 'a>) {
    for (item, cluster) in clusters(change) {
        let Some(url) = cluster.proxy_url().text().filter(|url| !url.is_empty()) else { continue };
        let path = || item.path().field("cluster").field("proxy-url");
        let effect = denied_by_v1alpha2(change);
        if is_longer(url, URL_LIMIT) {
            reporter.report_as(effect, path, Problem::TooLong(url.into(), URL_LIMIT));
        } else if !url::parse(url).is_some_and(|url| url.is(&["http", "https", "socks5"])) {
            let warning = "is not an http, https or socks5 URL, so consumers cannot connect; correct or remove it";
            let wording = Wording::new("must be an http, https or socks5 URL", warning);
            reporter.report_as(effect, path, Problem::Invalid(Value::Url(url.into()), wording));
        }
    }
}
