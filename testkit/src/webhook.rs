//! The webhook, registered with an API server.

use std::{fs, net::SocketAddr};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use clusterprofile_webhook::{
    manifest,
    server::Config,
    tls::{Certificates, Files, Pair},
};
use serde_json::{Value, json};

use crate::{
    ca::Ca,
    control_plane::ControlPlane,
    server::{Server, get},
    wait::wait_until,
};

/// A [`Server`] behind a Service, with the two webhook configurations of the manifests.
///
/// It reviews only namespaces with its [`Webhook::labels`], so that several tests can share an API server.
pub struct Webhook {
    pub name: String,
    pub address: SocketAddr,
    pub ca: Ca,
    /// `None` until it serves.
    pub server: Option<Server>,
}

/// The namespace of the Services.
pub const NAMESPACE: &str = "default";

/// The port of the Services. The manifests have 443, which is reserved for root.
pub const PORT: u16 = 8443;

impl Webhook {
    /// Serves with `config`, registers both webhooks, and waits until the API server calls them.
    pub fn start(plane: &ControlPlane, name: &str, config: Config) -> Self {
        let mut webhook = Self::unserved(plane, name);
        webhook.serve(config);
        for configuration in configurations() {
            webhook.register(plane, configuration);
        }
        webhook.wait_until_called(plane);
        webhook
    }

    /// Creates only the Service. Nothing listens at its address yet.
    pub fn unserved(plane: &ControlPlane, name: &str) -> Self {
        let address = plane.network().at(plane.host(), PORT);
        let service = json!({
            "metadata": {"name": name},
            "spec": {"clusterIP": address.ip().to_string(), "ports": [{"port": PORT}]},
        });
        let created = plane.api.post(&format!("/api/v1/namespaces/{NAMESPACE}/services"), &service);
        assert_eq!(created.status, 201, "{}", created.body);
        Self { name: name.into(), address: address.into(), ca: Ca::new(name), server: None }
    }

    /// Serves at the address of the Service with a new certificate. A server that runs already is stopped first.
    pub fn serve(&mut self, config: Config) {
        let ca = self.ca.certificate.clone().into_bytes();
        self.server = None;
        self.server = Some(Server::start_at(self.address, config, Certificates::new(self.pair()), None, ca));
    }

    /// Signs a certificate for the Service.
    pub fn pair(&self) -> Pair {
        let signed = self.ca.server(&[&format!("{}.{NAMESPACE}.svc", self.name)]);
        let names = Files { certificate: "certificate".into(), key: "key".into() };
        Pair::from_pem(signed.certificate.as_bytes(), signed.key.as_bytes(), &names).expect("it was just signed")
    }

    /// Creates a webhook configuration with the name, Service and namespaces of this webhook.
    pub fn register(&self, plane: &ControlPlane, mut configuration: Value) {
        configuration["metadata"]["name"] = json!(self.name);
        for webhook in configuration["webhooks"].as_array_mut().expect("a configuration has webhooks") {
            webhook["namespaceSelector"] = json!({"matchLabels": self.labels()});
            let client = &mut webhook["clientConfig"];
            client["service"]["namespace"] = json!(NAMESPACE);
            client["service"]["name"] = json!(self.name);
            client["service"]["port"] = json!(PORT);
            client["caBundle"] = json!(STANDARD.encode(&self.ca.certificate));
        }
        let created = plane.api.post(&collection(&configuration), &configuration);
        assert_eq!(created.status, 201, "{}", created.body);
    }

    /// The labels of the namespaces that it reviews.
    pub fn labels(&self) -> Value {
        json!({"reviewed-by": self.name})
    }

    fn wait_until_called(&self, plane: &ControlPlane) {
        let namespace = plane.namespace(&self.labels());
        let path = format!("/apis/multicluster.x-k8s.io/v1alpha1/namespaces/{namespace}/clusterprofiles?dryRun=All");
        let profile = json!({
            "apiVersion": "multicluster.x-k8s.io/v1alpha1",
            "kind": "ClusterProfile",
            "metadata": {"name": "a", "labels": {"x-k8s.io/cluster-manager": "b"}},
            "spec": {"displayName": "a", "clusterManager": {"name": "b"}},
        });
        wait_until("both webhooks are called", || {
            plane.api.post(&path, &profile);
            ["mutate", "validate"].into_iter().all(|phase| self.reviews(phase) > 0)
        });
    }

    /// The number of reviews in a phase, `mutate` or `validate`.
    pub fn reviews(&self, phase: &str) -> u64 {
        let server = self.server.as_ref().expect("it serves");
        let series = format!("clusterprofile_webhook_reviews_total{{phase=\"{phase}\",");
        let metrics = get(server.admin, "/metrics");
        let series = metrics.lines().filter(|line| line.starts_with(&series));
        series.filter_map(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok()).sum()
    }
}

/// The URL path of the collection that a webhook configuration belongs to.
pub fn collection(configuration: &Value) -> String {
    let kind = configuration["kind"].as_str().expect("a configuration has a kind").to_lowercase();
    format!("/apis/admissionregistration.k8s.io/v1/{kind}s")
}

/// The two webhook configurations of the manifests. The validating one is armed.
pub fn configurations() -> Vec<Value> {
    let files = fs::read_dir("manifests/base/webhooks").expect("the manifests are there");
    let texts = files.map(|file| fs::read(file.expect("it is readable").path()).expect("it is readable"));
    let objects = texts.flat_map(|text| manifest::read(&text).0).map(|document| document.object);
    let mut configurations: Vec<_> = objects
        .filter(|object| object["kind"].as_str().is_some_and(|kind| kind.ends_with("WebhookConfiguration")))
        .collect();
    assert_eq!(configurations.len(), 2, "one for each phase");
    for configuration in configurations.iter_mut().filter(|object| object["kind"] == "ValidatingWebhookConfiguration") {
        configuration["webhooks"][0]["failurePolicy"] = json!("Fail");
    }
    configurations
}
