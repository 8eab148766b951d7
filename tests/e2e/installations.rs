//! Two installations on one hub, whose webhooks have the same names.

use std::{fs, net::SocketAddr, path::Path};

use serde_json::{Value, json};
use testkit::{
    control_plane::ControlPlane,
    replica::{Replica, arguments, with_flags},
    wait::wait_until,
    webhook::{PORT, collection},
};

use super::{
    install::{item, stored_configurations},
    installed::{DRY_RUN, MANAGER, NAMESPACE, Profiles, serve_managed, stored},
    managed::metric,
    manifests::Shell,
};

/// The namespace of the second installation, and the name of its configurations.
const SECOND: &str = "second";

/// An installation that no API server reaches must not take the denial of the other for its own: armed, it would refuse
/// every write on the hub.
pub(crate) fn each_proves_its_own_path(plane: &ControlPlane, shell: &Shell) {
    shell.run("kubectl apply -k manifests/crd");
    let profiles = Profiles::new(plane);
    shell.run("kubectl apply -k manifests/base");
    let first = serve_managed(plane, shell);
    wait_until("the first installation is armed", || is_armed(&validating(plane, NAMESPACE)));
    profiles.wait_until_reviewed();

    let service = install_second(plane);
    let unreached = serve_second(plane, shell, "127.0.0.1:0".parse().expect("it is an address"), "unreached");
    let log = || fs::read_to_string(shell.directory.join("unreached/replica.log")).expect("it has a log");
    let reported = format!(
        "installation {NAMESPACE}/{NAMESPACE} denied a bad profile, this installation did not; check that the API server \
         reaches Service {SECOND}/{NAMESPACE}"
    );
    wait_until(&reported, || log().contains(&reported));
    assert!(metric(&unreached, "certificate_failures_total{failure=\"arming\"}") > 0);
    assert!(!is_armed(&validating(plane, SECOND)) && metric(&unreached, "armed") == 0);
    assert_eq!(profiles.create("good", Some(MANAGER), DRY_RUN).status, 201);
    unreached.stop();

    // If two webhooks deny, the API server returns one of the denials.
    let second = serve_second(plane, shell, service, "reached");
    wait_until("the second installation is armed", || is_armed(&validating(plane, SECOND)));
    for repaired in 1..=5 {
        for (name, replica) in [(NAMESPACE, &first), (SECOND, &second)] {
            let opened = json!([{"op": "replace", "path": "/webhooks/0/failurePolicy", "value": "Ignore"}]);
            assert_eq!(plane.api.patch(&item(&validating(plane, name)), "json", &opened).status, 200);
            wait_until("it is armed again", || {
                let repairs = metric(replica, "repairs_total{field=\"failure_policy\"}");
                repairs == repaired && is_armed(&validating(plane, name))
            });
        }
    }
    assert_eq!(profiles.create("good", Some(MANAGER), DRY_RUN).status, 201);
    assert_eq!(profiles.create("bad", Some("another"), DRY_RUN).status, 422);

    a_lost_or_broken_key_is_replaced(plane, &first);
}

/// Writes the Secret as a leader of an older release does, without the keys that it does not know.
fn a_lost_or_broken_key_is_replaced(plane: &ControlPlane, replica: &Replica) {
    let secret = format!("/api/v1/namespaces/{NAMESPACE}/secrets/clusterprofile-webhook-authority");
    let data = || plane.api.get(&secret).body["data"].clone();
    for broken in [Value::Null, json!("c2hvcnQ=")] {
        let before = data();
        assert_eq!(plane.api.patch(&secret, "merge", &json!({"data": {"proof.key": broken}})).status, 200);
        wait_until("there is another key", || {
            let key = &data()["proof.key"];
            key.is_string() && *key != broken && *key != before["proof.key"]
        });
        assert_eq!(data()["ca.crt"], before["ca.crt"]);
        let repairs = || metric(replica, "repairs_total{field=\"failure_policy\"}");
        let before = repairs();
        let opened = json!([{"op": "replace", "path": "/webhooks/0/failurePolicy", "value": "Ignore"}]);
        assert_eq!(plane.api.patch(&item(&validating(plane, NAMESPACE)), "json", &opened).status, 200);
        wait_until("it is armed by that key", || repairs() == before + 1 && is_armed(&validating(plane, NAMESPACE)));
    }
}

/// Installs the second one: its namespace, and webhook configurations that differ from the first's only in the Service.
/// Returns the address that the API server calls.
fn install_second(plane: &ControlPlane) -> SocketAddr {
    let address = SocketAddr::from(plane.network().at(plane.host(), PORT));
    let objects = [
        ("/api/v1/namespaces", json!({"metadata": {"name": SECOND}})),
        (
            "/api/v1/namespaces/second/services",
            json!({
                "metadata": {"name": NAMESPACE},
                "spec": {"clusterIP": address.ip().to_string(), "ports": [{"port": PORT}]},
            }),
        ),
        ("/api/v1/namespaces/second/secrets", json!({"metadata": {"name": "clusterprofile-webhook-authority"}})),
        (
            "/apis/coordination.k8s.io/v1/namespaces/second/leases",
            json!({"metadata": {"name": "clusterprofile-webhook"}}),
        ),
    ];
    let create = |collection: &str, object: &Value| {
        let created = plane.api.post(collection, object);
        assert_eq!(created.status, 201, "{created:#?}");
    };
    for (collection, object) in &objects {
        create(collection, object);
    }
    for mut configuration in stored_configurations(plane) {
        configuration["metadata"] = json!({"name": SECOND});
        let webhook = &mut configuration["webhooks"][0];
        webhook["failurePolicy"] = json!("Ignore");
        let client = &mut webhook["clientConfig"];
        client["caBundle"] = Value::Null;
        client["service"]["namespace"] = json!(SECOND);
        client["service"]["port"] = json!(PORT);
        create(&collection(&configuration), &configuration);
    }
    address
}

/// Arguments with the rights of an administrator, because rights are not the subject of this test.
fn serve_second(plane: &ControlPlane, shell: &Shell, address: SocketAddr, directory: &str) -> Replica {
    let directory = shell.directory.join(directory);
    fs::create_dir_all(&directory).expect("a directory can be made");
    let flags = [&format!("--namespace={SECOND}"), &format!("--configuration={SECOND}"), "--drain=0s"];
    let given = arguments(&stored(plane, "Deployment"), Path::new("/nonexistent"), address);
    Replica::start(&with_flags(given, &flags), &directory, Some(&plane.kubeconfig()))
}

fn validating(plane: &ControlPlane, name: &str) -> Value {
    let path = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations";
    let mut configuration = plane.api.get(&format!("{path}/{name}")).body;
    // The objects that `item` reads.
    configuration["kind"] = json!("ValidatingWebhookConfiguration");
    configuration
}

fn is_armed(configuration: &Value) -> bool {
    configuration["webhooks"][0]["failurePolicy"] == "Fail"
}
