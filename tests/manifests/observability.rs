//! Alerts and the dashboard. `e2e/observed.rs` checks that their series exist.

use std::{collections::BTreeMap, fs, process::Command};

use serde::Deserialize;
use serde_json::Value;
use testkit::{
    prometheus::{program, rules},
    rendered::{at, items, only, text},
    replica::container,
};

use super::{Manifests, pods::port_number};

/// The schema of the operator, reduced to the fields in use. The operator removes unknown fields, so there must be
/// none.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct PodMonitorSpec {
    job_label: String,
    selector: Selector,
    pod_metrics_endpoints: Vec<Endpoint>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Selector {
    match_labels: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Endpoint {
    port: String,
    interval: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PrometheusRuleSpec {
    groups: Vec<Group>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    name: String,
    rules: Vec<Alert>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Alert {
    #[serde(rename = "alert")]
    name: String,
    expr: String,
    #[serde(default, rename = "for")]
    _for: String,
    labels: Labels,
    annotations: Annotations,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Labels {
    severity: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Annotations {
    summary: String,
    description: String,
    runbook: String,
}

/// A file for `promtool test rules`.
#[derive(Deserialize)]
struct AlertTests {
    tests: Vec<AlertTest>,
}

#[derive(Deserialize)]
struct AlertTest {
    name: String,
    alert_rule_test: Vec<Evaluation>,
}

#[derive(Deserialize)]
struct Evaluation {
    alertname: String,
    #[serde(default)]
    exp_alerts: Vec<Expected>,
}

#[derive(Deserialize)]
struct Expected {
    exp_labels: BTreeMap<String, String>,
}

const TESTS: &str = "tests/manifests/alerts.yaml";

fn alerts(manifests: &Manifests) -> Vec<Alert> {
    let rule = only(&manifests.observability, "PrometheusRule");
    let spec: PrometheusRuleSpec =
        serde_json::from_value(at(rule, "/spec").clone()).expect("the operator knows all fields");
    assert!(
        spec.groups.iter().all(|group| group.name.starts_with("clusterprofile-webhook-")),
        "names are of all rules"
    );
    spec.groups.into_iter().flat_map(|group| group.rules).collect()
}

fn alert_tests() -> Vec<AlertTest> {
    let tests: AlertTests = serde_saphyr::from_str(&fs::read_to_string(TESTS).expect("they are there")).expect(TESTS);
    tests.tests
}

/// Each Pod is scraped at a port that it has, under the job name that the rules use.
pub(crate) fn every_pod_is_scraped(manifests: &Manifests) {
    let monitor = only(&manifests.observability, "PodMonitor");
    let deployment = only(&manifests.base, "Deployment");
    assert_eq!(at(monitor, "/metadata/namespace"), at(deployment, "/metadata/namespace"), "it looks in its own alone");
    let monitor: PodMonitorSpec =
        serde_json::from_value(at(monitor, "/spec").clone()).expect("the operator knows all fields");
    let labels = at(deployment, "/spec/template/metadata/labels");
    let mut wanted = monitor.selector.match_labels.iter().peekable();
    assert!(wanted.peek().is_some() && wanted.all(|(name, value)| labels[name] == **value), "{labels}");
    let [endpoint] = &monitor.pod_metrics_endpoints[..] else { panic!("there is one endpoint") };
    port_number(container(deployment), &endpoint.port);
    assert_eq!(endpoint.interval, "30s", "five minutes have ten samples");

    let job = labels[&monitor.job_label].as_str().expect("the Pods have the label");
    let jobs: Vec<_> = alerts(manifests).iter().flat_map(|alert| jobs_of(&alert.expr)).collect();
    assert!(!jobs.is_empty() && jobs.iter().all(|found| found == job), "{jobs:?}");
}

fn jobs_of(query: &str) -> Vec<String> {
    let after = query.split("job=\"").skip(1);
    after.filter_map(|rest| rest.split('"').next()).map(ToOwned::to_owned).collect()
}

pub(crate) fn every_alert_says_what_to_do(manifests: &Manifests) {
    let page = fs::read_to_string("docs/alerts.md").expect("the page is readable");
    let headings: Vec<_> = page.lines().filter_map(|line| line.strip_prefix("### ")).collect();
    let alerts = alerts(manifests);
    assert_eq!(headings, alerts.iter().map(|alert| &alert.name).collect::<Vec<_>>(), "the page has each, in order");
    let tests = alert_tests();
    for Alert { name: alert, labels, annotations, .. } in &alerts {
        assert!(["critical", "warning"].contains(&labels.severity.as_str()), "{alert}: {}", labels.severity);
        assert!(annotations.summary.ends_with('.') && !annotations.summary.contains("{{"), "{alert}");
        assert!(annotations.description.len() > annotations.summary.len(), "{alert}: what is to be done?");
        assert_eq!(annotations.runbook, format!("docs/alerts.md#{}", alert.to_lowercase()));
        // In its texts an alert can use only labels that it has.
        let test = tests.iter().find(|test| test.name == *alert).unwrap_or_else(|| panic!("{alert} is not tested"));
        let fired: Vec<_> = test.alert_rule_test.iter().flat_map(|evaluation| &evaluation.exp_alerts).collect();
        for label in annotations.description.split("$labels.").skip(1) {
            let label = label.split(|letter: char| !letter.is_ascii_lowercase() && letter != '_').next();
            let label = label.unwrap_or_default();
            assert!(fired.iter().all(|alert| alert.exp_labels.contains_key(label)), "{alert} has no label {label}");
        }
    }
}

pub(crate) fn every_alert_fires_and_is_silent(manifests: &Manifests) {
    let tests = alert_tests();
    for Alert { name: alert, .. } in alerts(manifests) {
        let of_it: Vec<_> =
            tests.iter().filter(|test| test.name == alert).flat_map(|test| &test.alert_rule_test).collect();
        assert!(of_it.iter().all(|evaluation| evaluation.alertname == alert), "{TESTS}: {alert}");
        for fires in [true, false] {
            let is_seen = of_it.iter().any(|evaluation| evaluation.exp_alerts.is_empty() != fires);
            assert!(is_seen, "{TESTS}: {alert} must be seen to fire, and not to");
        }
    }

    let directory = tempfile::tempdir().expect("a directory can be made");
    let rule = only(&manifests.observability, "PrometheusRule");
    let promtool = |arguments: &[&str]| {
        let program = program("promtool").expect("it was looked for");
        let output = Command::new(program).args(arguments).current_dir(&directory).output().expect("it can be run");
        let printed = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
        assert!(output.status.success(), "promtool {arguments:?}\n{printed}");
    };
    let write = |name: &str, content: &str| {
        fs::write(directory.path().join(name), content).expect("a file can be written");
    };
    write("rules.yaml", &rules(rule, |_| {}));
    promtool(&["check", "rules", "rules.yaml"]);
    // `promtool` compares whole annotations; this test checks only whether the alert fires.
    write(
        "rules.yaml",
        &rules(rule, |alert| drop(alert.as_object_mut().and_then(|alert| alert.remove("annotations")))),
    );
    write("alerts.yaml", &fs::read_to_string(TESTS).expect("they are there"));
    promtool(&["test", "rules", "alerts.yaml"]);
}

/// The dashboard works with any Grafana and any installation, and describes its panels.
pub(crate) fn the_dashboard_explains_itself(manifests: &Manifests) {
    let config = only(&manifests.observability, "ConfigMap");
    let stored = fs::read_to_string("manifests/observability/dashboard.json").expect("the dashboard is there");
    assert_eq!(text(config, "/data/clusterprofile-webhook.json"), stored);
    assert_eq!(text(config, "/metadata/labels/grafana_dashboard"), "1");

    let dashboard: Value = serde_json::from_str(&stored).expect("a dashboard is JSON");
    assert_eq!(dashboard.get("id"), None, "a Grafana gives its own");
    let variables: Vec<_> = items(&dashboard, "/templating/list").iter().map(|one| text(one, "/name")).collect();
    assert_eq!(variables, ["datasource", "namespace"]);
    let mut titles = Vec::new();
    for panel in items(&dashboard, "/panels").iter().filter(|panel| panel["type"] != "row") {
        let title = text(panel, "/title");
        assert!(!titles.contains(&title), "two panels are called {title}");
        titles.push(title);
        assert!(text(panel, "/description").ends_with('.'), "{title} says what it shows");
        for source in items(panel, "/targets").iter().chain([panel]) {
            assert_eq!(text(source, "/datasource/uid"), "${datasource}", "{title}");
        }
        for target in items(panel, "/targets") {
            let query = text(target, "/expr");
            let is_of_namespace = query.contains("namespace=~\"$namespace\"") || query.contains("apiserver_");
            assert!(is_of_namespace, "{title}: {query}");
        }
    }
    let ids: Vec<_> = items(&dashboard, "/panels").iter().map(|panel| panel["id"].as_u64()).collect();
    assert!(ids.iter().enumerate().all(|(index, id)| id.is_some() && !ids[..index].contains(id)), "{ids:?}");
}
