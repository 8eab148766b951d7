//! The webhook configurations: which writes they send, and where.

use std::{net::SocketAddr, process::Command};

use clusterprofile_webhook::crd;
use serde_json::{Value, json};
use testkit::{
    rendered::{at, items, only, text},
    replica::container,
};

use super::{
    Manifests,
    pods::{flag, port_number},
};

/// The configurations: kind, path, and fields that only one of them has.
fn phases() -> [(&'static str, &'static str, Value); 2] {
    [
        (
            "MutatingWebhookConfiguration",
            "/mutate",
            json!({"failurePolicy": "Ignore", "reinvocationPolicy": "IfNeeded"}),
        ),
        // Until it is armed, which the overlays leave to the user.
        ("ValidatingWebhookConfiguration", "/validate", json!({"failurePolicy": "Ignore"})),
    ]
}

pub(crate) fn see_all_that_the_definition_serves(manifests: &Manifests) {
    let crd = serde_json::to_value(crd::crd()).expect("a definition is JSON");
    let versions = items(&crd, "/spec/versions").iter().filter(|version| version["served"] == true);
    let versions: Vec<_> = versions.map(|version| text(version, "/name")).collect();
    let plural = text(&crd, "/spec/names/plural");
    let mut conditions = Vec::new();
    for (kind, path, own) in phases() {
        let mut expected = json!({
            "admissionReviewVersions": ["v1"],
            "clientConfig": {"service": service(manifests, path)},
            "matchPolicy": "Equivalent",
            "rules": [{
                "apiGroups": [at(&crd, "/spec/group")],
                "apiVersions": versions,
                "operations": ["CREATE", "UPDATE"],
                "resources": [plural, format!("{plural}/status")],
                "scope": at(&crd, "/spec/scope"),
            }],
            "sideEffects": "None",
            "timeoutSeconds": 5,
        });
        let expected = expected.as_object_mut().expect("it is one");
        expected.extend(own.as_object().expect("it is one").clone());

        let [webhook] = items(only(&manifests.base, kind), "/webhooks") else { panic!("{kind}: one webhook") };
        let mut webhook = webhook.as_object().expect("a webhook is an object").clone();
        conditions.push(webhook.remove("matchConditions"));
        assert!(webhook.remove("name").is_some());
        assert_eq!(&webhook, expected);
    }
    // Tests with an API server show its effect.
    let [mutating, validating] = &conditions[..] else { panic!("one list for each phase") };
    assert_eq!(mutating, validating, "both leave the same writes alone");
    assert_eq!(mutating.as_ref().and_then(Value::as_array).map(Vec::len), Some(1), "{mutating:?}");
}

/// The Service of the base. The port is the default, 443.
fn service(manifests: &Manifests, path: &str) -> Value {
    let metadata = at(only(&manifests.base, "Service"), "/metadata");
    json!({"name": metadata["name"], "namespace": metadata["namespace"], "path": path})
}

/// No `caBundle` either: it would overwrite what cert-manager or a user has filled in.
pub(crate) fn differ_only_in_the_server_that_they_call(manifests: &Manifests) {
    for (kind, path, _) in phases() {
        let [base, dev, cert_manager] = [&manifests.base, &manifests.dev, &manifests.cert_manager].map(|rendering| {
            let mut configuration = only(rendering, kind).clone();
            let client = configuration["webhooks"][0]["clientConfig"].take();
            let metadata = configuration["metadata"].as_object_mut().expect("a configuration has metadata");
            let annotations = metadata.remove("annotations");
            (configuration, client, annotations)
        });
        assert_eq!(only(&manifests.webhooks, kind), only(&manifests.base, kind));
        let mut armed = base.0.clone();
        if kind.starts_with("Validating") {
            armed["webhooks"][0]["failurePolicy"] = json!("Fail");
        }
        let pair = only(&manifests.certificate_pair, kind);
        assert_eq!(
            (&dev.0, &cert_manager.0, &pair["webhooks"][0]["failurePolicy"]),
            (&armed, &armed, &armed["webhooks"][0]["failurePolicy"])
        );
        assert_eq!((&base.2, &dev.2), (&None, &None));
        assert_eq!((&base.1, &cert_manager.1), (&json!({"service": service(manifests, path)}), &base.1));
        assert_eq!(dev.1, json!({"url": text(&dev.1, "/url")}));
    }
}

pub(crate) fn call_where_the_server_listens(manifests: &Manifests) {
    let container = container(only(&manifests.base, "Deployment"));
    let [port] = items(only(&manifests.base, "Service"), "/spec/ports") else { panic!("one port") };
    assert_eq!(port["port"], 443, "what a configuration without a port calls");
    assert_eq!(port_number(container, text(port, "/targetPort")), address(flag(container, "--listen")).port());
}

/// The default port of `serve`, which `make run` uses.
pub(crate) fn call_where_a_development_server_listens(manifests: &Manifests) {
    let help = Command::new(testkit::program()).args(["serve", "--help"]).env_clear().output();
    let help = String::from_utf8(help.expect("the binary was built").stdout).expect("help is text");
    let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
    let (_, listen) = help.split_once("--listen <ADDRESS>").expect("it has the flag");
    let (_, default) = listen.split_once("[default: ").expect("the flag has a default");
    let default =
        default.split_whitespace().next().and_then(|word| word.strip_suffix(']')).expect("a bracket closes it");
    for (kind, path, _) in phases() {
        let url = format!("https://127.0.0.1:{}{path}", address(default).port());
        assert_eq!(text(only(&manifests.dev, kind), "/webhooks/0/clientConfig/url"), url);
    }
}

fn address(text: &str) -> SocketAddr {
    text.parse().expect("the server listens at an address")
}
