//! The manifests, rendered by kubectl, agree with each other and with the binary.
//!
//! A custom harness renders them once for all tests. `e2e/manifests.rs` installs them. Without kubectl, all tests are
//! skipped.

#![expect(clippy::panic, clippy::indexing_slicing, reason = "a test that cannot go on must end")]
#![expect(clippy::print_stdout, reason = "it reports what is skipped")]

mod cert_manager;
mod chart;
mod frozen;
mod observability;
mod platforms;
mod pods;
mod webhooks;

use std::{
    fs,
    os::unix::fs::symlink,
    path::absolute,
    process::{Command, ExitCode},
    sync::Arc,
};

use clusterprofile_webhook::{crd, manifest};
use libtest_mimic::{Arguments, Trial};
use serde_json::{Value, json};
use testkit::{
    page::Section,
    programs::Assets,
    prometheus,
    rendered::{at, only, rendered, text},
};

use self::chart::Chart;

/// All renderings.
struct Manifests {
    crd: Vec<Value>,
    base: Vec<Value>,
    webhooks: Vec<Value>,
    dev: Vec<Value>,
    certificate_pair: Vec<Value>,
    cert_manager: Vec<Value>,
    observability: Vec<Value>,
    chart: Option<Chart>,
    /// The kustomization that `docs/install.md` describes.
    readers: Vec<Value>,
    /// The kustomization of docs/configuration.md, with the file of its example.
    configured: Vec<Value>,
    assets: Assets,
}

type Test = fn(&Manifests);

const TESTS: &[(&str, Test)] = &[
    ("each_rendering_has_its_objects", each_rendering_has_its_objects),
    ("the_definition_is_the_one_that_is_printed", the_definition_is_the_one_that_is_printed),
    ("all_objects_are_in_the_namespace_and_labelled", all_objects_are_in_the_namespace_and_labelled),
    ("selectors_select_the_pods", selectors_select_the_pods),
    ("webhooks::see_all_that_the_definition_serves", webhooks::see_all_that_the_definition_serves),
    ("webhooks::differ_only_in_the_server_that_they_call", webhooks::differ_only_in_the_server_that_they_call),
    ("webhooks::call_where_the_server_listens", webhooks::call_where_the_server_listens),
    ("webhooks::call_where_a_development_server_listens", webhooks::call_where_a_development_server_listens),
    ("the_readme_changes_only_the_registry", the_readme_changes_only_the_registry),
    ("pods::run_the_image_as_it_is_made", pods::run_the_image_as_it_is_made),
    ("pods::run_what_the_binary_accepts", pods::run_what_the_binary_accepts),
    ("pods::are_reached_only_at_their_ports", pods::are_reached_only_at_their_ports),
    ("pods::see_renewed_certificates", pods::see_renewed_certificates),
    ("pods::see_a_changed_configuration", pods::see_a_changed_configuration),
    ("pods::exit_after_their_last_response", pods::exit_after_their_last_response),
    ("pods::are_confined", pods::are_confined),
    ("pods::run_as_any_user", pods::run_as_any_user),
    (
        "pods::have_only_the_rights_for_certificates_break_glass_and_the_crd",
        pods::have_only_the_rights_for_certificates_break_glass_and_the_crd,
    ),
    ("pods::have_only_the_rights_for_break_glass_and_the_crd", pods::have_only_the_rights_for_break_glass_and_the_crd),
    ("pods::never_stop_all_at_once", pods::never_stop_all_at_once),
    ("platforms::components_agree_with_themselves", platforms::components_agree_with_themselves),
    ("platforms::the_page_names_what_there_is", platforms::the_page_names_what_there_is),
    ("chart::has_what_is_rendered", chart::has_what_is_rendered),
    ("cert_manager::issues_what_the_api_server_trusts", cert_manager::issues_what_the_api_server_trusts),
    ("observability::every_pod_is_scraped", observability::every_pod_is_scraped),
    ("observability::every_alert_says_what_to_do", observability::every_alert_says_what_to_do),
    ("observability::the_dashboard_explains_itself", observability::the_dashboard_explains_itself),
];

/// Tests that need promtool.
const WITH_PROMTOOL: [(&str, Test); 2] = [
    ("observability::every_alert_fires_and_is_silent", observability::every_alert_fires_and_is_silent),
    ("frozen::one_frozen_profile_is_enough", frozen::one_frozen_profile_is_enough),
];

/// Tests that need Helm.
const WITH_HELM: [(&str, Test); 9] = [
    ("platforms::values_do_what_components_do", platforms::values_do_what_components_do),
    ("platforms::values_reach_the_pods", platforms::values_reach_the_pods),
    ("platforms::wrong_values_are_refused", platforms::wrong_values_are_refused),
    ("platforms::both_ways_mount_the_client_ca", platforms::both_ways_mount_the_client_ca),
    ("chart::renders_what_kustomize_does", chart::renders_what_kustomize_does),
    ("chart::is_installed_into_any_namespace", chart::is_installed_into_any_namespace),
    ("chart::values_change_only_what_they_say", chart::values_change_only_what_they_say),
    ("chart::wrong_values_are_rejected", chart::wrong_values_are_rejected),
    ("chart::is_of_this_version", chart::is_of_this_version),
];

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let Some(assets) = Assets::find() else {
        println!("manifests: skipped: run `make control-plane` for kubectl");
        return ExitCode::SUCCESS;
    };
    let render = |directory: &str| rendered(Command::new(assets.program("kubectl")), directory);
    let manifests = Arc::new(Manifests {
        crd: render("manifests/crd"),
        base: render("manifests/base"),
        webhooks: render("manifests/base/webhooks"),
        dev: render("manifests/overlays/dev"),
        certificate_pair: render("manifests/overlays/certificate-pair"),
        cert_manager: render("manifests/overlays/cert-manager"),
        observability: render("manifests/observability"),
        readers: readers(
            render,
            Section::page("install").section("Install with kustomize").between("```yaml\n", "```"),
            "",
        ),
        configured: configured(render),
        chart: Chart::find(),
        assets: assets.clone(),
    });
    let trial = |(name, test): (&str, Test)| {
        let manifests = Arc::clone(&manifests);
        Trial::test(name, move || {
            test(&manifests);
            Ok(())
        })
    };
    let mut tests = TESTS.to_vec();
    match prometheus::program("promtool") {
        Some(_) => tests.extend(WITH_PROMTOOL),
        None => println!("manifests: the tests of alerts are skipped: apt-get install prometheus"),
    }
    if manifests.chart.is_some() {
        tests.extend(WITH_HELM);
    }
    libtest_mimic::run(&arguments, tests.into_iter().map(trial).collect()).exit_code()
}

/// Renders a user's kustomization and `config.yaml` next to this checkout.
fn readers(render: impl Fn(&str) -> Vec<Value>, kustomization: &str, config: &str) -> Vec<Value> {
    let directory = tempfile::tempdir().expect("a directory can be made");
    for (name, content) in [("kustomization.yaml", kustomization), ("config.yaml", config)] {
        fs::write(directory.path().join(name), content).expect("a file can be written");
    }
    let here = absolute(".").expect("there is a directory");
    symlink(here, directory.path().join("clusterprofile-webhook")).expect("a link can be made");
    render(directory.path().to_str().expect("it is made of ASCII"))
}

fn configured(render: impl Fn(&str) -> Vec<Value>) -> Vec<Value> {
    let page = fs::read_to_string("docs/configuration.md").expect("the page is there");
    let blocks: Vec<_> = page.split("```yaml\n").skip(1).filter_map(|rest| rest.split_once("```")).collect();
    let [(config, _), (kustomization, _)] = blocks[..] else { panic!("a file and a kustomization") };
    readers(render, kustomization, config)
}

/// Most important: only `crd` has the CRD, because deleting it deletes every ClusterProfile.
fn each_rendering_has_its_objects(manifests: &Manifests) {
    const WEBHOOKS: [&str; 2] = ["MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"];
    const SERVER: [&str; 7] =
        ["ConfigMap", "Deployment", "Namespace", "NetworkPolicy", "PodDisruptionBudget", "Service", "ServiceAccount"];
    const MANAGED: [&str; 10] = [
        "ClusterRole",
        "ClusterRoleBinding",
        "Lease",
        "Role",
        "Role",
        "RoleBinding",
        "RoleBinding",
        "Secret",
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding",
    ];
    const BREAK_GLASS: [&str; 3] = ["ClusterRole", "ClusterRole", "ClusterRoleBinding"];
    const CRD_READER: [&str; 2] = ["ClusterRole", "ClusterRoleBinding"];
    const CERTIFICATES: [&str; 4] = ["Certificate", "Certificate", "Issuer", "Issuer"];
    let expected: [(&[Value], &[&[&str]]); 7] = [
        (&manifests.crd, &[&["CustomResourceDefinition"]]),
        (&manifests.base, &[&SERVER, &WEBHOOKS, &BREAK_GLASS, &CRD_READER, &MANAGED]),
        (&manifests.certificate_pair, &[&SERVER, &WEBHOOKS, &BREAK_GLASS, &CRD_READER]),
        (&manifests.webhooks, &[&WEBHOOKS]),
        (&manifests.dev, &[&WEBHOOKS]),
        (&manifests.cert_manager, &[&SERVER, &WEBHOOKS, &BREAK_GLASS, &CRD_READER, &CERTIFICATES]),
        (&manifests.observability, &[&["ConfigMap", "PodMonitor", "PrometheusRule"]]),
    ];
    for (objects, kinds) in expected {
        let mut found: Vec<_> = objects.iter().map(|object| text(object, "/kind")).collect();
        let mut kinds = kinds.concat();
        found.sort_unstable();
        kinds.sort_unstable();
        assert_eq!(found, kinds);
    }
    let is_cert_managers = |object: &&Value| text(object, "/apiVersion").starts_with("cert-manager.io/");
    let is_webhook = |object: &&Value| WEBHOOKS.contains(&text(object, "/kind"));
    let more = manifests.cert_manager.iter().filter(|object| !is_cert_managers(object) && !is_webhook(object));
    let pair = manifests.certificate_pair.iter().filter(|object| !is_webhook(object));
    assert!(more.eq(pair), "with cert-manager, the server is another");
}

fn the_definition_is_the_one_that_is_printed(manifests: &Manifests) {
    let printed = manifest::read(crd::yaml().as_bytes()).0.remove(0).object;
    let mut definition = only(&manifests.crd, "CustomResourceDefinition").clone();
    let label = json!({"app.kubernetes.io/part-of": "clusterprofile-webhook"});
    let metadata = definition["metadata"].as_object_mut().expect("it has a name");
    assert_eq!(metadata.remove("labels"), Some(label), "by it `make install` knows its own");
    assert_eq!(definition, printed);
}

fn the_readme_changes_only_the_registry(manifests: &Manifests) {
    let mut readers = manifests.readers.clone();
    let deployment = readers.iter_mut().find(|object| object["kind"] == "Deployment").expect("there is one");
    let image = &mut deployment["spec"]["template"]["spec"]["containers"][0]["image"];
    *image = json!(image.as_str().and_then(|image| image.strip_prefix("your-registry/")));
    assert_eq!(readers, manifests.base);
}

fn all_objects_are_in_the_namespace_and_labelled(manifests: &Manifests) {
    const LABELS: [&str; 3] = ["name", "component", "part-of"];
    const CLUSTER_SCOPED: [&str; 7] = [
        "ClusterRole",
        "ClusterRoleBinding",
        "MutatingWebhookConfiguration",
        "Namespace",
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding",
        "ValidatingWebhookConfiguration",
    ];
    let namespace = text(only(&manifests.base, "Namespace"), "/metadata/name");
    let Manifests { base, dev, cert_manager, observability, .. } = manifests;
    for object in [base, dev, cert_manager, observability].into_iter().flatten() {
        for label in LABELS {
            text(object, &format!("/metadata/labels/app.kubernetes.io~1{label}"));
        }
        // Events of cluster-scoped objects are in this namespace.
        let namespace = if text(object, "/metadata/name").ends_with("-events") { "default" } else { namespace };
        let expected = (!CLUSTER_SCOPED.contains(&text(object, "/kind"))).then_some(namespace);
        assert_eq!(object["metadata"]["namespace"].as_str(), expected, "{object:#}");
    }
    let deployment = only(&manifests.base, "Deployment");
    let mut labels = at(deployment, "/spec/template/metadata/labels").clone();
    let sidecar = labels.as_object_mut().and_then(|labels| labels.remove("sidecar.istio.io/inject"));
    assert_eq!(sidecar, Some(json!("false")));
    assert_eq!(labels, *at(deployment, "/metadata/labels"));
}

fn selectors_select_the_pods(manifests: &Manifests) {
    let labels = at(only(&manifests.base, "Deployment"), "/spec/template/metadata/labels");
    let mut selectors = vec![at(only(&manifests.base, "Service"), "/spec/selector")];
    manifests.base.iter().for_each(|object| collect_selectors(object, &mut selectors));
    assert_eq!(selectors.len(), 6, "of Service, Deployment, PodDisruptionBudget, NetworkPolicy and two spreads");
    for selector in selectors {
        let mut wanted = selector.as_object().expect("a selector is a map").iter().peekable();
        assert!(wanted.peek().is_some(), "an empty selector selects everything");
        assert!(wanted.all(|(name, value)| labels[name] == *value), "{selector} does not select {labels}");
    }
}

fn collect_selectors<'o>(value: &'o Value, selectors: &mut Vec<&'o Value>) {
    match value {
        Value::Object(fields) => {
            selectors.extend(fields.get("matchLabels"));
            fields.values().for_each(|field| collect_selectors(field, selectors));
        }
        Value::Array(items) => items.iter().for_each(|item| collect_selectors(item, selectors)),
        _ => {}
    }
}
