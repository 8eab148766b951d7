//! What platforms need: values of the chart and components of kustomize, which do the same.

use std::{collections::BTreeSet, fs, process::Command};

use serde_json::{Value, json};
use testkit::{
    page::Section,
    rendered::{at, items, only, rendered, text},
    replica::container,
};

use super::{
    Manifests,
    chart::{MODES, NAMESPACE, assert_same, with, without_namespace},
    pods::{flag, port_number},
    readers,
};

/// Each component, with the values of the chart that do the same.
const COMPONENTS: [(&str, &[&str]); 5] = [
    ("api-server-ports", &["networkPolicy.apiServerPorts={443,6443,8443,16443}"]),
    ("autopilot", &["resources.requests.cpu=250m", "resources.requests.memory=512Mi", "resources.limits.cpu=250m"]),
    ("host-network", &["hostNetwork=true", "ports.webhook=18443", "ports.admin=18080"]),
    ("no-events", &["events=false"]),
    ("port-10250", &["ports.webhook=10250"]),
];

impl Manifests {
    /// The kustomization in `directory`, and what a reader adds to it.
    fn with_more(&self, directory: &str, more: &str) -> Vec<Value> {
        let render = |directory: &str| rendered(Command::new(self.assets.program("kubectl")), directory);
        readers(render, &format!("resources: [clusterprofile-webhook/{directory}]\n{more}"), "")
    }

    fn with_component(&self, directory: &str, component: &str) -> Vec<Value> {
        self.with_more(directory, &format!("components: [clusterprofile-webhook/manifests/components/{component}]\n"))
    }
}

fn set<'v>(values: &[&'v str]) -> Vec<&'v str> {
    values.iter().flat_map(|value| ["--set", value]).collect()
}

pub(crate) fn values_do_what_components_do(manifests: &Manifests) {
    for (component, values) in COMPONENTS {
        for (mode, directory) in MODES {
            let mode = format!("certificates.mode={mode}");
            let arguments = [&set(values)[..], &["--set", &mode]].concat();
            let expected = without_namespace(&manifests.with_component(directory, component));
            let what = format!("{component} with {mode}");
            assert_same(&manifests.chart().rendered(NAMESPACE, &arguments), &expected, &what);
        }
    }
}

/// Where the server listens is where it is called, probed and scraped; and the namespace admits the Pods.
pub(crate) fn components_agree_with_themselves(manifests: &Manifests) {
    let directories = fs::read_dir("manifests/components").expect("they are there");
    let found: BTreeSet<_> = directories
        .map(|entry| entry.expect("it is readable").file_name().into_string().expect("it is ASCII"))
        .collect();
    assert_eq!(found, COMPONENTS.map(|(component, _)| component.to_owned()).into());
    for (component, _) in COMPONENTS {
        let objects = manifests.with_component("manifests/base", component);
        let deployment = only(&objects, "Deployment");
        let container = container(deployment);
        let ports = [("webhook", "--listen"), ("admin", "--admin-listen")].map(|(name, argument)| {
            let port = port_number(container, name);
            assert_eq!(flag(container, argument), format!("[::]:{port}"), "{component}");
            json!({"protocol": "TCP", "port": port})
        });
        assert_eq!(at(only(&objects, "NetworkPolicy"), "/spec/ingress/0/ports"), &json!(ports), "{component}");
        assert_eq!(text(only(&objects, "Service"), "/spec/ports/0/targetPort"), "webhook");
        for probe in ["readinessProbe", "livenessProbe"] {
            assert_eq!(text(container, &format!("/{probe}/httpGet/port")), "admin");
        }
        let on_host = at(deployment, "/spec/template/spec").get("hostNetwork") == Some(&json!(true));
        let level = if on_host { "privileged" } else { "restricted" };
        let enforced = "/metadata/labels/pod-security.kubernetes.io~1enforce";
        assert_eq!(text(only(&objects, "Namespace"), enforced), level, "{component}");
        assert_eq!(on_host, component == "host-network");
    }
}

pub(crate) fn values_reach_the_pods(manifests: &Manifests) {
    let base = only(&manifests.base, "Deployment");
    let more = |pointer: &str, item: Value| {
        let mut items = items(base, pointer).to_vec();
        items.push(item);
        Value::Array(items)
    };
    let with_field = |pointer: &str, field: &str, value: &str| {
        let mut object = at(base, pointer).clone();
        object[field] = json!(value);
        object
    };
    let labels = "/spec/template/metadata/labels";
    let annotations = "/spec/template/metadata/annotations";
    let volumes = "/spec/template/spec/volumes";
    let mounts = "/spec/template/spec/containers/0/volumeMounts";
    for (values, pointer, value) in [
        (&["podLabels.team=hub"][..], labels, with_field(labels, "team", "hub")),
        (&[r"podLabels.sidecar\.istio\.io/inject=null"], labels, at(base, "/metadata/labels").clone()),
        (&["podAnnotations.a=b"], annotations, with_field(annotations, "a", "b")),
        (&["dnsPolicy=Default"], "/spec/template/spec/dnsPolicy", json!("Default")),
        (
            &["extraVolumes[0].name=ca", "extraVolumes[0].configMap.name=ca"],
            volumes,
            more(volumes, json!({"name": "ca", "configMap": {"name": "ca"}})),
        ),
        (
            &["extraVolumeMounts[0].name=ca", "extraVolumeMounts[0].mountPath=/ca"],
            mounts,
            more(mounts, json!({"name": "ca", "mountPath": "/ca"})),
        ),
    ] {
        let expected = with(without_namespace(&manifests.base), "Deployment", pointer, value);
        assert_same(&manifests.chart().rendered(NAMESPACE, &set(values)), &expected, &format!("{values:?}"));
    }
}

pub(crate) fn wrong_values_are_refused(manifests: &Manifests) {
    for (value, message) in [
        (
            r"podLabels.app\.kubernetes\.io/name=other",
            "podLabels: app.kubernetes.io/name is set by the chart; remove it",
        ),
        ("podLabels.a=true", "at '/podLabels/a': got boolean, want string"),
        ("ports.webhook=443", "at '/ports/webhook': minimum: got 443, want 1,024"),
        ("ports.metrics=9090", "at '/ports': additional properties 'metrics' not allowed"),
        ("hostNetwork=yes", "at '/hostNetwork': got string, want boolean"),
        ("dnsPolicy=Cluster", "at '/dnsPolicy': value must be one of"),
        ("extraVolumes[0].emptyDir.medium=Memory", "at '/extraVolumes/0': missing property 'name'"),
        ("extraVolumeMounts[0].name=a", "at '/extraVolumeMounts/0': missing property 'mountPath'"),
    ] {
        let output = manifests.chart().run(&["template", "any", "manifests/chart", "--set", value]);
        let output = output.expect_err("a value is wrong");
        assert!(output.contains(message), "{value}: {output}");
    }
}

/// As the page on client certificates says. What the server makes of the flags is in `e2e/callers.rs`.
pub(crate) fn both_ways_mount_the_client_ca(manifests: &Manifests) {
    let page = Section::page("callers").section("Set the flags of the webhook");
    let [values, patches] = page.manifests()[..] else { panic!("values and patches") };
    let expected = without_namespace(&manifests.with_more("manifests/base", patches));
    let file = tempfile::NamedTempFile::new().expect("a file can be made");
    fs::write(&file, values).expect("a file can be written");
    let file = file.path().to_str().expect("it is ASCII");
    assert_same(&manifests.chart().rendered(NAMESPACE, &["--values", file]), &expected, "the page");
    let [script] = &page.scripts()[..] else { panic!("one script") };
    let volumes = at(only(&expected, "Deployment"), "/spec/template/spec/volumes");
    let name =
        volumes.as_array().and_then(|volumes| volumes.last()?["configMap"]["name"].as_str()).expect("it has a name");
    assert!(script.contains(&format!("create configmap {name} ")), "{script}");
}

/// Its components exist, and its table names each with the values that do the same.
pub(crate) fn the_page_names_what_there_is(_: &Manifests) {
    let page = Section::page("platforms").section("What can I set?");
    let table = page.between("\n|---|---|---|\n", "\n\n");
    let rows: Vec<_> = table.lines().collect();
    for (component, values) in COMPONENTS {
        let named = format!("`{component}`");
        let row = rows.iter().find(|row| row.contains(&named)).unwrap_or_else(|| panic!("no row of {component}"));
        assert!(values.iter().all(|value| row.contains(&format!("`{value}`"))), "{row} does not name {values:?}");
    }
}
