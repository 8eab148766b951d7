//! Every metric and label in a query exists, and every query has a result.

use std::{collections::BTreeSet, fs};

use serde_json::Value;
use testkit::{
    prometheus::Prometheus,
    rendered::{at, items, text},
};

use super::promql::References;

/// The alerts of a `PrometheusRule`.
pub(crate) fn alerts(rule: &Value) -> impl Iterator<Item = &Value> {
    items(rule, "/spec/groups").iter().flat_map(|group| items(group, "/rules"))
}

pub(crate) fn all_are_answered(prometheus: &Prometheus, rule: &Value) {
    for alert in alerts(rule) {
        let query = text(alert, "/expr");
        prometheus.query(query);
        all_is_there(prometheus, query);
    }
    let tests = fs::read_to_string("tests/manifests/alerts.yaml").expect("they are there");
    let mut series: BTreeSet<_> = tests.lines().filter_map(|line| line.trim().strip_prefix("- series: ")).collect();
    assert!(series.len() > 20, "{series:?}");
    series.retain(|series| prometheus.series(&of_any_target(series)).is_empty());
    assert!(series.is_empty(), "alerts are tested with series that do not exist: {series:#?}");

    let dashboard = fs::read_to_string("manifests/observability/dashboard.json").expect("it is there");
    let dashboard: Value = serde_json::from_str(&dashboard).expect("a dashboard is JSON");
    let namespaces = text(&dashboard, "/templating/list/1/query/query");
    let (metric, label) = namespaces
        .strip_prefix("label_values(")
        .and_then(|rest| rest.strip_suffix(')')?.split_once(", "))
        .expect("the variable has the values of a label");
    assert!(prometheus.series(metric).iter().any(|series| series[label].is_string()), "{namespaces}");
    for panel in items(&dashboard, "/panels").iter().filter(|panel| panel["type"] != "row") {
        for target in items(panel, "/targets") {
            let query = text(target, "/expr").replace("$namespace", ".+").replace("$__rate_interval", "5m");
            assert!(!query.contains('$'), "what is this variable? {query}");
            all_is_there(prometheus, &query);
            let answer = prometheus.query(&query);
            assert!(!answer.is_empty(), "{}: nothing to see: {query}", text(panel, "/title"));
            for label in text(target, "/legendFormat").split("{{").skip(1) {
                let (label, _) = label.split_once("}}").expect("a label ends");
                assert!(answer.iter().all(|one| at(one, "/metric")[label].is_string()), "no {label} is in {query}");
            }
        }
    }
}

/// The series of each selector, and the labels of groupings.
fn all_is_there(prometheus: &Prometheus, query: &str) {
    let References { selectors, labels } = References::of(query);
    assert!(!selectors.is_empty(), "{query}");
    let mut known = BTreeSet::new();
    for selector in selectors {
        let series = prometheus.series(&selector);
        assert!(!series.is_empty(), "{query}: no series for {selector}");
        known.extend(series.iter().filter_map(Value::as_object).flat_map(|labels| labels.keys().cloned()));
    }
    let unknown: Vec<_> = labels.difference(&known).collect();
    assert!(unknown.is_empty(), "{query}: no series has the labels {unknown:?}");
}

/// The series without the labels of its target.
fn of_any_target(series: &str) -> String {
    ["namespace", "pod", "job"].iter().fold(series.to_owned(), |series, label| {
        let Some((before, rest)) = series.split_once(&format!("{label}=\"")) else { return series };
        let (_, after) = rest.split_once('"').expect("a value ends");
        format!("{before}{label}=~\".+\"{after}")
    })
}
