//! The webhook is down, slow or has the wrong certificate: the responses of the API server with Fail and with Ignore.

use std::{fs, sync::Arc, thread};

use clusterprofile_webhook::{
    server::Config,
    tls::{self, Callers, Certificates},
};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use tempfile::NamedTempFile;
use testkit::{
    api::Response,
    ca::Ca,
    control_plane::ControlPlane,
    profiles::{MANAGER, Profiles, bad, good, is_filled_in, labelled},
    wait::wait_until,
    webhook::{Webhook, configurations},
};
use tokio::{net::TcpListener, runtime::Runtime};
use tokio_rustls::TlsAcceptor;

use super::{
    planes::{Crd, Planes},
    rotation::{self, metric},
};

pub(crate) fn trials(planes: &Arc<Planes>) -> Vec<Trial> {
    let trial = |name: String, run: Box<dyn FnOnce(&ControlPlane) + Send>| {
        let planes = Arc::clone(planes);
        Trial::test(format!("faults::{name}"), move || {
            run(&planes.get(Crd::Own).control);
            Ok(())
        })
    };
    let under_both = |fault: Fault| {
        [
            trial(format!("{}-under-fail", fault.name), Box::new(move |control| refused(fault, control))),
            trial(format!("{}-under-ignore", fault.name), Box::new(move |control| let_through(fault, control))),
        ]
    };
    let mut trials: Vec<_> = FAULTS.into_iter().flat_map(under_both).collect();
    trials.push(trial("restarted-between-calls".into(), Box::new(restarted)));
    trials.push(trial("authority-replaced".into(), Box::new(rotation::replaced)));
    let wrong_way_round = Box::new(rotation::replaced_the_wrong_way_round);
    trials.push(trial("authority-replaced-the-wrong-way-round".into(), wrong_way_round));
    trials
}

/// A fault of the webhook.
#[derive(Clone, Copy)]
struct Fault {
    name: &'static str,
    /// Starts what listens at the registered address, if anything does.
    start: fn(&mut Webhook) -> Option<Runtime>,
    /// The timeout of the webhook in seconds. It is long if the fault must show before it on a busy machine.
    timeout: u8,
    /// The possible messages of the API server.
    messages: &'static [&'static str],
    /// The reason with which the webhook counts the fault, if it is called.
    reason: Option<&'static str>,
}

const FAULTS: [Fault; 5] = [
    Fault { name: "down", start: |_| None, timeout: 30, messages: &[": connect: connection refused"], reason: None },
    Fault {
        name: "slow",
        start: |webhook| Some(slow(webhook)),
        timeout: 1,
        messages: &[": context deadline exceeded"],
        reason: None,
    },
    Fault {
        name: "wrong-authority",
        start: |webhook| {
            webhook.ca = Ca::new("another");
            webhook.serve(Config::default());
            None
        },
        timeout: 30,
        messages: &[": tls: failed to verify certificate: x509: certificate signed by unknown authority"],
        reason: Some("distrusted"),
    },
    Fault {
        name: "wrong-name",
        start: |webhook| {
            webhook.name = "another".into();
            webhook.serve(Config::default());
            None
        },
        timeout: 30,
        messages: &[
            ": tls: failed to verify certificate: x509: certificate is valid for another.default.svc, not wrong-name-",
        ],
        reason: Some("distrusted"),
    },
    Fault {
        name: "no-client-certificate",
        start: |webhook| {
            webhook.serve(Config { callers: Some(Arc::new(others())), ..Config::default() });
            None
        },
        timeout: 30,
        // The alert comes while the API server is sending. Sometimes it finds the connection closed before it reads the
        // reason.
        messages: &[": remote error: tls: certificate required", ": use of closed network connection"],
        reason: Some("refused"),
    },
];

/// Requires client certificates of another CA.
fn others() -> Callers {
    let file = NamedTempFile::new().expect("a file can be made");
    fs::write(&file, Ca::new("others").certificate).expect("it can be written");
    Callers::load(file.path().to_owned(), vec!["another".into()]).expect("it is an authority's")
}

/// Accepts requests and never responds.
fn slow(webhook: &Webhook) -> Runtime {
    let config = tls::server_config(Arc::new(Certificates::new(webhook.pair())), None).expect("TLS can be configured");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let runtime = Runtime::new().expect("a runtime can be made");
    let listener = runtime.block_on(TcpListener::bind(webhook.address)).expect("the address is free");
    runtime.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let handshake = acceptor.accept(stream);
            tokio::spawn(async {
                let _open = handshake.await;
                std::future::pending::<()>().await;
            });
        }
    });
    runtime
}

/// With Fail, as for /validate once it is armed: the API server refuses every write except the removal of finalizers.
fn refused(fault: Fault, control: &ControlPlane) {
    let name = format!("{}-fail", fault.name);
    let broken = Broken::new(fault, control, &name, None);
    let profiles = &broken.profiles;
    wait_until("/validate is called", || profiles.try_to_create(&good("a")).status == 500);
    let stored = profiles.api.get(&profiles.path("stored"));
    for answer in broken.writes() {
        let status = &answer.body;
        assert_eq!((answer.status, &status["reason"]), (500, &json!("InternalError")), "{answer:#?}");
        let message = status["message"].as_str().unwrap_or_default();
        let begin = format!(
            "Internal error occurred: failed calling webhook \"validate.{name}.internal\": failed to call webhook: \
             Post \"https://{name}.default.svc:8443/validate?timeout={}s\": ",
            fault.timeout
        );
        assert!(message.starts_with(&begin) && fault.messages.iter().any(|text| message.contains(text)), "{message}");
    }
    if let Some(reason) = fault.reason {
        // The API server may detect it first.
        let series = format!("failed_handshakes_total{{reason=\"{reason}\"}}");
        wait_until("it is counted", || metric(&broken.webhook, &series) > 0);
    }
    assert_eq!(profiles.names(), ["leaving", "measured", "stored"].map(String::from).into());
    assert_eq!(profiles.api.get(&profiles.path("stored")).body, stored.body);
    broken.assert_that_what_is_being_deleted_can_go();
}

/// With Ignore: every write is stored unchanged, also one that a rule denies.
fn let_through(fault: Fault, control: &ControlPlane) {
    let name = format!("{}-ignore", fault.name);
    let broken = Broken::new(fault, control, &name, Some("Ignore"));
    let profiles = &broken.profiles;
    let passed_over = |phase: &str| {
        let series = format!("apiserver_admission_webhook_fail_open_count{{name=\"{phase}.{name}.internal\"");
        let metrics = control.api.get("/metrics").body;
        metrics.as_str().expect("metrics are text").lines().any(|line| line.starts_with(&series))
    };
    wait_until("both webhooks are called", || {
        profiles.try_to_create(&good("a"));
        ["mutate", "validate"].into_iter().all(passed_over)
    });
    let answers = broken.writes();
    assert!(answers.iter().all(|answer| matches!(answer.status, 200 | 201)), "{answers:#?}");
    assert_eq!(profiles.names(), ["bad", "good", "leaving", "measured", "stored"].map(String::from).into());
    let stored = |name: &str, pointer: &str| profiles.api.get(&profiles.path(name)).body.pointer(pointer).cloned();
    assert_eq!(stored("good", "/metadata/labels"), None);
    assert_eq!(stored("bad", "/metadata/labels"), Some(bad("bad", 0)["metadata"]["labels"].clone()));
    assert_eq!(stored("stored", "/spec/displayName"), Some(json!("b")));
    assert_eq!(stored("measured", "/status"), Some(json!({"version": {"kubernetes": "v1.34.1"}})));
    broken.assert_that_what_is_being_deleted_can_go();
}

/// A registered webhook with a fault, and profiles that were stored before it was registered.
struct Broken<'c> {
    profiles: Profiles<'c>,
    webhook: Webhook,
    _listener: Option<Runtime>,
}

impl<'c> Broken<'c> {
    fn new(fault: Fault, control: &'c ControlPlane, name: &str, policy: Option<&str>) -> Self {
        let mut webhook = Webhook::unserved(control, name);
        let profiles = Profiles::new(control, &webhook.labels());
        let mut leaving = labelled("leaving");
        leaving["metadata"]["finalizers"] = json!(["example.com/test"]);
        for profile in [labelled("stored"), labelled("measured"), leaving] {
            let created = profiles.create(&profile);
            assert_eq!(created.status, 201, "{created:#?}");
        }
        let deleted = control.api.delete(&profiles.path("leaving"));
        assert_eq!(deleted.status, 200, "{deleted:#?}");
        for mut configuration in configurations() {
            let hook = &mut configuration["webhooks"][0];
            let hook_name = hook["name"].as_str().expect("it has a name").replace("clusterprofile-webhook", name);
            hook["name"] = json!(hook_name);
            hook["timeoutSeconds"] = json!(fault.timeout);
            if let Some(policy) = policy {
                hook["failurePolicy"] = json!(policy);
            }
            webhook.register(control, configuration);
        }
        let listener = (fault.start)(&mut webhook);
        Self { profiles, webhook, _listener: listener }
    }

    /// Sends five writes concurrently, because each may take the whole timeout, and returns the responses: valid,
    /// invalid, an update, a status, and a label of a profile that is being deleted.
    fn writes(&self) -> [Response; 5] {
        let merge = |path: String, patch: &Value| self.profiles.api.patch(&path, "merge", patch);
        let path = |name| self.profiles.path(name);
        thread::scope(|scope| {
            let writes = [
                scope.spawn(|| self.profiles.create(&good("good"))),
                scope.spawn(|| self.profiles.create(&bad("bad", 0))),
                scope.spawn(|| merge(path("stored"), &json!({"spec": {"displayName": "b"}}))),
                scope.spawn(|| {
                    let status = json!({"status": {"version": {"kubernetes": "v1.34.1"}}});
                    merge(format!("{}/status", path("measured")), &status)
                }),
                scope.spawn(|| merge(path("leaving"), &json!({"metadata": {"labels": {MANAGER: "another"}}}))),
            ];
            writes.map(|write| write.join().expect("the API server answers"))
        })
    }

    /// The match conditions of both webhooks exclude this write.
    fn assert_that_what_is_being_deleted_can_go(&self) {
        let Self { profiles, .. } = self;
        let path = profiles.path("leaving");
        let removed = profiles.api.patch(&path, "merge", &json!({"metadata": {"finalizers": null}}));
        assert_eq!(removed.status, 200, "{removed:#?}");
        assert_eq!(profiles.api.get(&path).status, 404);
    }
}

/// The API server keeps connections. Closed ones must not fail a call.
fn restarted(control: &ControlPlane) {
    const RESTARTS: usize = 3;
    const WRITERS: usize = 8;
    let mut webhook = Webhook::start(control, "restarted", Config::default());
    let profiles = Profiles::new(control, &webhook.labels());
    for restart in 0..=RESTARTS {
        let write = |writer: usize| {
            let name = format!("good-{restart}-{writer}");
            let created = profiles.create(&good(&name));
            assert!(created.status == 201 && is_filled_in(&created), "{created:#?}");
            let denied = profiles.create(&bad(&format!("bad-{restart}-{writer}"), writer));
            assert_eq!(denied.status, 422, "{denied:#?}");
            let path = profiles.path(&name);
            let denied = control.api.patch(&format!("{path}/status"), "merge", &with_password());
            assert_eq!(denied.status, 422, "{denied:#?}");
            assert_eq!(control.api.get(&path).body["status"], Value::Null);
        };
        thread::scope(|scope| {
            for writer in 0..WRITERS {
                scope.spawn(move || write(writer));
            }
        });
        assert!(metric(&webhook, "open_connections") > 0, "no connection is kept");
        webhook.serve(Config::default());
    }
    let names = profiles.names();
    assert_eq!(names.len(), (RESTARTS + 1) * WRITERS, "{names:?}");
    assert!(names.iter().all(|name| name.starts_with("good-")), "{names:?}");
}

/// A status that a rule denies and the CRD accepts.
fn with_password() -> Value {
    json!({"status": {"accessProviders": [{"name": "a", "cluster": {"server": "https://user:password@spoke-1"}}]}})
}
