//! A real Prometheus scrapes the binary and the API server, evaluates the rules of the manifests, and runs the queries
//! of the dashboard. Faults are real, but alerts do not wait for their `for`.

use std::{
    collections::BTreeSet,
    fs,
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
};

use clusterprofile_webhook::admission::ANNOTATION;
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose};
use serde_json::{Value, json};
use testkit::{
    ca::Ca,
    client::Client,
    control_plane::ControlPlane,
    loopback::PORTS,
    prometheus::{Prometheus, firing, query_at, rules},
    rendered::{only, rendered, text},
    replica::Replica,
    wait::wait_until,
};
use time::{Duration, OffsetDateTime};

use super::{
    install::{item, stored_configurations},
    installed::{DRY_RUN, MANAGER, NAMESPACE, Profiles, address, serve_managed_at, stored},
    managed::is_armed,
    manifests::Shell,
    queries,
};

/// The namespace of the replicas that read their certificates from files.
const PAIRS: &str = "pairs";

/// No test can cause these from outside. Only promtool makes them fire.
const ELSEWHERE: [&str; 3] =
    ["ClusterProfileWebhookDropsLogLines", "ClusterProfileWebhookPanics", "ClusterProfileWebhookSlow"];

pub(crate) fn every_alert_fires_and_every_query_has_an_answer(plane: &ControlPlane, shell: &Shell) {
    shell.run("kubectl apply -k manifests/crd");
    let profiles = Profiles::new(plane);
    shell.run("kubectl apply -k manifests/base");
    let service = address(shell, &stored(plane, "Service"));
    let [managed, old, expired]: [SocketAddr; 3] = [(); 3].map(|()| plane.network().at(plane.host(), ADMIN).into());
    let own = format!("--admin-listen={managed}");
    let serve = |flags: &[&str]| {
        let flags = [&[&own, "--lease-duration=5s"], flags].concat();
        serve_managed_at(service, plane, &shell.directory, &flags)
    };
    // A certificate that is renewed in time never expires as soon as this.
    let replica = serve(&["--ca-lifetime=6d", "--leaf-lifetime=3d"]);
    wait_until("it is armed", || is_armed(plane));
    profiles.wait_until_reviewed();

    let objects = rendered(plane.kubectl(), "manifests/observability");
    let rule = only(&objects, "PrometheusRule");
    let jobs = [
        webhook_job(&[(NAMESPACE, "managed", managed), (PAIRS, "old", old), (PAIRS, "expired", expired)]),
        api_server_job(plane),
    ];
    let mut watch = Watch::start(plane, &json!(jobs), rule);
    let mut of_managed: Vec<String> = Vec::new();
    // On a busy machine a scrape may time out once.
    wait_until("all else is well", || {
        let firing =
            watch.until(&["ClusterProfileWebhookAuthorityExpiresSoon", "ClusterProfileWebhookReplicaDown"], || {});
        let own = firing.iter().filter(|alert| alert["labels"]["namespace"] == NAMESPACE);
        of_managed = own.map(|alert| text(alert, "/labels/alertname").to_owned()).collect();
        of_managed == ["ClusterProfileWebhookAuthorityExpiresSoon"]
    });

    let pairs = Pairs::serve(&shell.directory, old, expired);
    watch.until(&["ClusterProfileWebhookNoValidCertificate", "ClusterProfileWebhookCertificateExpiresSoon"], || {});
    watch.until(&["ClusterProfileWebhookReplicasDiffer"], || {});
    callers_are_a_trouble(&mut watch, &pairs);
    pairs.break_file();
    watch.until(&["ClusterProfileWebhookFileUnusable"], || {});

    let overwritten = json!([{"op": "replace", "path": "/webhooks/0/failurePolicy", "value": "Ignore"}]);
    let configuration = |kind| {
        let stored = stored_configurations(plane);
        item(stored.iter().find(|configuration| configuration["kind"] == kind).expect("it is installed"))
    };
    let validating = configuration("ValidatingWebhookConfiguration");
    watch.until(&["ClusterProfileWebhookRepairs"], || {
        if is_armed(plane) {
            assert_eq!(plane.api.patch(&validating, "json", &overwritten).status, 200);
        }
    });
    wait_until("it is armed again", || is_armed(plane));
    let show = "kubectl get validatingwebhookconfiguration clusterprofile-webhook --show-managed-fields -o yaml";
    assert!(shell.run(runbook(show)).contains("manager: clusterprofile-webhook-arming"));

    replica.freeze();
    assert_eq!(profiles.create("late", Some(MANAGER), DRY_RUN).status, 500, "no response in time");
    watch.until(&["ClusterProfileWebhookCallsSlow"], || {});
    drop(replica);
    watch.until(&["ClusterProfileWebhookCallsFail", "ClusterProfileWebhookFailsOpen"], || {
        assert_eq!(profiles.create("alone", Some(MANAGER), DRY_RUN).status, 500);
    });

    shell.run(runbook("kubectl delete validatingwebhookconfiguration clusterprofile-webhook"));
    wait_until("writes go on", || profiles.create("alone", Some(MANAGER), DRY_RUN).status == 201);

    // The manifests install it with failurePolicy Ignore, and in audit mode nothing arms it.
    shell.run("kubectl apply -k manifests/base");
    let replica = serve(&["--audit"]);
    wait_until("it is called", || profiles.create("new", Some(MANAGER), DRY_RUN).status == 201);
    watch.until(&["ClusterProfileWebhookNotArmed"], || {});
    queries::all_are_answered(&watch.prometheus, rule);

    assert_eq!(plane.api.delete(&configuration("MutatingWebhookConfiguration")).status, 200);
    watch.until(&["ClusterProfileWebhookNotTrusted"], || {});
    let bindings = format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{NAMESPACE}/rolebindings");
    assert_eq!(plane.api.delete(&format!("{bindings}/clusterprofile-webhook")).status, 200);
    watch.until(&["ClusterProfileWebhookNoLeader", "ClusterProfileWebhookCertificatesFail"], || {});

    drop((replica, pairs));
    watch.until(&["ClusterProfileWebhookDown"], || {});
    watch.has_seen_all(rule);
}

/// A command of the page that alerts link to.
fn runbook(command: &str) -> &str {
    let page = fs::read_to_string("docs/alerts.md").expect("the page is there");
    assert!(page.contains(&format!("\n$ {command}\n")), "the page has no command {command}");
    command
}

/// The ports of replicas, each at its own address, and of Prometheus. They are next to those of the control plane, and
/// differ from those at which another program can listen on all addresses.
const ADMIN: u16 = 6444;
const PROMETHEUS: u16 = 6445;

/// The scrape job of the `PodMonitor`, with these labels for each target.
fn webhook_job(targets: &[(&str, &str, SocketAddr)]) -> Value {
    let targets = targets.iter().map(|(namespace, pod, address)| {
        json!({"targets": [address.to_string()], "labels": {"namespace": namespace, "pod": pod}})
    });
    json!({"job_name": "clusterprofile-webhook", "static_configs": targets.collect::<Vec<_>>()})
}

fn api_server_job(plane: &ControlPlane) -> Value {
    let file = |name: &str| plane.directory().join(name);
    json!({
        "job_name": "apiserver",
        // The API server has thousands of series. Only a few are about webhooks.
        "scrape_interval": "1s",
        "scrape_timeout": "1s",
        "metric_relabel_configs": [
            {"source_labels": ["__name__"], "regex": "apiserver_admission_webhook_.+", "action": "keep"},
        ],
        "scheme": "https",
        "tls_config": {"ca_file": file("ca.crt"), "cert_file": file("admin.crt"), "key_file": file("admin.key")},
        "static_configs": [{"targets": [plane.network().at(1, PORTS[2]).to_string()]}],
    })
}

/// Prometheus and the alerts that have fired.
struct Watch {
    prometheus: Prometheus,
    fired: BTreeSet<String>,
}

impl Watch {
    fn start(plane: &ControlPlane, jobs: &Value, rule: &Value) -> Self {
        let at_once = rules(rule, |alert| drop(alert.as_object_mut().and_then(|alert| alert.remove("for"))));
        let address = plane.network().at(plane.host(), PROMETHEUS).into();
        let prometheus = Prometheus::start(address, &plane.directory().join("prometheus"), jobs, &at_once);
        Self { prometheus, fired: BTreeSet::new() }
    }

    /// Repeats `act` until all of these alerts fire at once. Returns all firing alerts.
    fn until(&mut self, alerts: &[&str], mut act: impl FnMut()) -> Vec<Value> {
        let mut all = Vec::new();
        self.prometheus.wait_until(&alerts.join(", "), |address| {
            act();
            all = firing(address);
            let names: Vec<_> = all.iter().map(|alert| text(alert, "/labels/alertname")).collect();
            alerts.iter().all(|alert| names.contains(alert))
        });
        for alert in &all {
            for annotation in ["summary", "description"] {
                let value = text(alert, &format!("/annotations/{annotation}"));
                assert!(!value.contains("<error") && !value.contains("<no value>"), "{value}");
            }
        }
        self.fired.extend(all.iter().map(|alert| text(alert, "/labels/alertname").to_owned()));
        all
    }

    fn has_seen_all(mut self, rule: &Value) {
        self.fired.extend(ELSEWHERE.map(ToOwned::to_owned));
        let alerts: BTreeSet<_> = queries::alerts(rule).map(|alert| text(alert, "/alert").to_owned()).collect();
        assert_eq!(self.fired, alerts);
    }
}

/// Two replicas that read certificates from files: one certificate expires soon, the other has expired.
struct Pairs {
    authority: Ca,
    old: Replica,
    file: PathBuf,
    _expired: Replica,
}

impl Pairs {
    fn serve(directory: &Path, old: SocketAddr, expired: SocketAddr) -> Self {
        let authority = Ca::new(PAIRS);
        let serve = |name: &str, admin: SocketAddr, minutes: [i64; 2]| {
            let directory = directory.join(name);
            fs::create_dir(&directory).expect("a directory can be made");
            let mut params = CertificateParams::new(["localhost".to_owned()]).expect("the name is ASCII");
            let [from, until] = minutes.map(|minutes| OffsetDateTime::now_utc() + Duration::minutes(minutes));
            (params.not_before, params.not_after) = (from, until);
            let pair = authority.sign(params, ExtendedKeyUsagePurpose::ServerAuth);
            for (name, content) in [("tls.crt", pair.certificate), ("tls.key", pair.key)] {
                fs::write(directory.join(name), content).expect("a file can be written");
            }
            let arguments = [
                "serve",
                "--listen=127.0.0.1:0",
                &format!("--admin-listen={admin}"),
                "--tls-cert=tls.crt",
                "--tls-key=tls.key",
                "--log-format=json",
                "--max-connections=2",
                "--break-glass",
            ];
            let replica = Replica::start(&arguments.map(ToOwned::to_owned), &directory, None);
            (replica, directory.join("tls.crt"))
        };
        let (old, file) = serve("old", old, [-80, 20]);
        let (expired, _) = serve("expired", expired, [-80, -20]);
        Self { authority, old, file, _expired: expired }
    }

    fn connect(&self) -> Client {
        Client::connect(self.old.address, self.authority.certificate.as_bytes()).expect("it takes connections")
    }

    fn break_file(&self) {
        fs::write(&self.file, "torn").expect("a file can be written");
    }
}

/// Failures that clients cause.
fn callers_are_a_trouble(watch: &mut Watch, pairs: &Pairs) {
    const DENIED: &[u8] = include_bytes!("../data/admission-reviews/generatename-create-validate.json");
    const STATUS: &[u8] = include_bytes!("../data/admission-reviews/status-update-validate.json");
    // A count before the first scrape is not an increase.
    watch.prometheus.wait_until("it is scraped", |address| !query_at(address, "up{pod=\"old\"} == 1").is_empty());
    let mut client = pairs.connect();
    watch.until(&["ClusterProfileWebhookDenials"], || {
        assert_eq!(client.post("/validate", DENIED).expect("it is answered").status, 200);
    });
    let mut frozen: Value = serde_json::from_slice(STATUS).expect("it is JSON");
    frozen["request"]["object"]["status"]["properties"] = json!([{"name": "trailing-", "value": "a"}]);
    frozen["request"]["oldObject"]["status"] = json!({});
    let frozen = frozen.to_string();
    watch.until(&["ClusterProfileWebhookStatusFrozen"], || {
        assert_eq!(client.post("/validate", frozen.as_bytes()).expect("it is answered").status, 200);
    });
    let mut claiming: Value = serde_json::from_slice(DENIED).expect("it is JSON");
    claiming["request"]["object"]["metadata"]["annotations"] = json!({ANNOTATION: "another write"});
    let claiming = claiming.to_string();
    watch.until(&["ClusterProfileWebhookBreakGlass"], || {
        assert_eq!(client.post("/validate", claiming.as_bytes()).expect("it is answered").status, 200);
    });
    watch.until(&["ClusterProfileWebhookBadRequests"], || {
        assert_eq!(client.post("/validate", b"{}").expect("it is answered").status, 400);
    });
    watch.until(&["ClusterProfileWebhookShedsRequests"], || {
        let mut client = pairs.connect();
        let head = "POST /mutate?timeout=100ms HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{";
        client.send(head.as_bytes()).expect("it reads");
        assert_eq!(client.response().expect("it is answered").status, 503);
    });
    watch.until(&["ClusterProfileWebhookEvictsConnections"], || {
        drop([(); 4].map(|()| TcpStream::connect(pairs.old.address).expect("it takes connections")));
    });
    let another = Ca::new("another").certificate;
    watch.until(&["ClusterProfileWebhookHandshakesFail"], || {
        assert!(Client::connect(pairs.old.address, another.as_bytes()).is_err());
    });
}
