//! The webhook as an API server calls it: a server behind a Service, registered as the manifests register it.

use std::{fs, net::SocketAddr};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use clusterprofile_webhook::{
    manifest,
    server::Config,
    tls::{Certificates, Files, Pair},
};
use serde_json::{Value, json};

use super::{
    authority::Authority,
    control_plane::ControlPlane,
    server::{Server, get},
    wait::wait_until,
};

/// A webhook that reviews what is written to the namespaces with its labels, and no others.
pub(crate) struct Webhook {
    pub name: String,
    pub address: SocketAddr,
    pub authority: Authority,
    pub server: Option<Server>,
}

/// The namespace of the Services.
pub(crate) const NAMESPACE: &str = "default";

/// The port of the Services; the manifests' own, 443, is root's.
pub(crate) const PORT: u16 = 8443;

impl Webhook {
    /// Serves, registers and waits until the API server calls both webhooks.
    pub(crate) fn start(plane: &ControlPlane, name: &str, config: Config) -> Self {
        let mut webhook = Self::unserved(plane, name);
        webhook.serve(config);
        for configuration in configurations() {
            webhook.register(plane, configuration);
        }
        webhook.wait_until_called(plane);
        webhook
    }

    /// A Service at whose address nobody listens yet.
    pub(crate) fn unserved(plane: &ControlPlane, name: &str) -> Self {
        let address = plane.network().at(plane.host(), PORT);
        let service = json!({
            "metadata": {"name": name},
            "spec": {"clusterIP": address.ip().to_string(), "ports": [{"port": PORT}]},
        });
        let created = plane.api.post(&format!("/api/v1/namespaces/{NAMESPACE}/services"), &service);
        assert_eq!(created.status, 201, "{}", created.body);
        Self { name: name.into(), address: address.into(), authority: Authority::new(name), server: None }
    }

    /// Serves at the Service's address with a new certificate.
    pub(crate) fn serve(&mut self, config: Config) {
        let ca = self.authority.certificate.clone().into_bytes();
        self.server = None;
        self.server = Some(Server::start_at(self.address, config, Certificates::new(self.pair()), None, ca));
    }

    /// A certificate for the Service, signed by the authority that the configurations name.
    pub(crate) fn pair(&self) -> Pair {
        let signed = self.authority.server(&[&format!("{}.{NAMESPACE}.svc", self.name)]);
        let names = Files { certificate: "certificate".into(), key: "key".into() };
        Pair::from_pem(signed.certificate.as_bytes(), signed.key.as_bytes(), &names).expect("it was just signed")
    }

    /// Creates a configuration of the manifests, changed to this webhook's name, Service and namespaces.
    pub(crate) fn register(&self, plane: &ControlPlane, mut configuration: Value) {
        configuration["metadata"]["name"] = json!(self.name);
        for webhook in configuration["webhooks"].as_array_mut().expect("a configuration has webhooks") {
            webhook["namespaceSelector"] = json!({"matchLabels": self.labels()});
            let client = &mut webhook["clientConfig"];
            client["service"]["namespace"] = json!(NAMESPACE);
            client["service"]["name"] = json!(self.name);
            client["service"]["port"] = json!(PORT);
            client["caBundle"] = json!(STANDARD.encode(&self.authority.certificate));
        }
        let created = plane.api.post(&collection(&configuration), &configuration);
        assert_eq!(created.status, 201, "{}", created.body);
    }

    /// Labels of the namespaces that it reviews.
    pub(crate) fn labels(&self) -> Value {
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

    /// How many reviews there were.
    pub(crate) fn reviews(&self, phase: &str) -> u64 {
        let server = self.server.as_ref().expect("it serves");
        let series = format!("clusterprofile_webhook_reviews_total{{phase=\"{phase}\",");
        let metrics = get(server.admin, "/metrics");
        let series = metrics.lines().filter(|line| line.starts_with(&series));
        series.filter_map(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok()).sum()
    }
}

/// Where configurations of this kind are.
pub(crate) fn collection(configuration: &Value) -> String {
    let kind = configuration["kind"].as_str().expect("a configuration has a kind").to_lowercase();
    format!("/apis/admissionregistration.k8s.io/v1/{kind}s")
}

/// The two configurations of the manifests, the validating one as it is once it is armed.
pub(crate) fn configurations() -> Vec<Value> {
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
