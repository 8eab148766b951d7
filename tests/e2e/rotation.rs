//! The authority of the webhook's certificate is replaced while 50 writers are at it.

use std::{
    fs,
    path::Path,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use clusterprofile_webhook::{
    server::Config,
    tls::{Certificates, Files},
};
use serde_json::{Value, json};

use super::{
    api::Answer,
    authority::Authority,
    control_plane::ControlPlane,
    profiles::{Profiles, bad, good, is_filled_in, labelled},
    server::{Server, get},
    wait::wait_until,
    webhook::{NAMESPACE, Webhook, collection, configurations},
};

/// First both authorities are trusted, then the new certificate is served, then the old authority is forgotten: no call fails.
pub(crate) fn replaced(control: &ControlPlane) {
    let rotation = Rotation::start(control, "rotated");
    let (old, new) = (&rotation.webhook.authority, Authority::new("new"));
    let writers = Writers::new(control, &rotation.webhook, good);
    writers.write(|| {
        writers.go_on();
        rotation.trust(&format!("{}{}", old.certificate, new.certificate));
        writers.go_on();
        rotation.serve(&new);
        writers.go_on();
        rotation.trust(&new.certificate);
        writers.go_on();
    });
    writers.assert_stored_what_was_accepted();
    let failed = writers.failed.into_inner().expect("no writer panics");
    assert!(failed.is_empty(), "{failed:#?}");
}

/// The old authority is forgotten before the new certificate is served: calls fail until it is, and nothing bad slips in.
pub(crate) fn replaced_the_wrong_way_round(control: &ControlPlane) {
    let rotation = Rotation::start(control, "rotated-badly");
    let new = Authority::new("new");
    // Not those that want filling in: where /mutate fails alone, the webhook is right to refuse them.
    let writers = Writers::new(control, &rotation.webhook, labelled);
    writers.write(|| {
        writers.go_on();
        rotation.trust(&new.certificate);
        writers.go_on();
    });
    let failed = std::mem::take(&mut *writers.failed.lock().expect("no writer panics"));
    assert!(!failed.is_empty(), "a certificate of an unknown authority is taken");
    for answer in failed {
        let message = answer.body["message"].as_str().unwrap_or_default();
        assert!(answer.status == 500 && message.ends_with(UNKNOWN), "{answer:#?}");
    }
    rotation.serve(&new);
    writers.write(|| writers.go_on());
    writers.assert_stored_what_was_accepted();
    let failed = writers.failed.into_inner().expect("no writer panics");
    assert!(failed.is_empty(), "{failed:#?}");
}

const UNKNOWN: &str = "tls: failed to verify certificate: x509: certificate signed by unknown authority";

/// A webhook whose certificate is in files.
struct Rotation<'c> {
    control: &'c ControlPlane,
    webhook: Webhook,
    files: Files,
    trusted: AtomicUsize,
}

impl<'c> Rotation<'c> {
    fn start(control: &'c ControlPlane, name: &str) -> Self {
        let mut webhook = Webhook::unserved(control, name);
        let file = |kind: &str| control.directory().join(format!("{name}.{kind}"));
        let files = Files { certificate: file("crt"), key: file("key") };
        write_pair(&webhook.authority, name, &files);
        let certificates = Certificates::new(files.load().expect("it was just written"));
        let ca = webhook.authority.certificate.clone().into_bytes();
        let server = Server::start_at(webhook.address, Config::default(), certificates, Some(files.clone()), ca);
        webhook.server = Some(server);
        for mut configuration in configurations() {
            // So many writers and a busy machine must not make it a test of speed.
            configuration["webhooks"][0]["timeoutSeconds"] = json!(30);
            webhook.register(control, configuration);
        }
        let rotation = Self { control, webhook, files, trusted: AtomicUsize::new(0) };
        rotation.trust(&rotation.webhook.authority.certificate);
        rotation
    }

    /// Replaces the bundle of both configurations, and waits until the API server goes by it.
    ///
    /// What a configuration says of a certificate is not seen from outside; so that it is, each bundle comes with a namespace
    /// that was not reviewed before.
    fn trust(&self, bundle: &str) {
        let name = &self.webhook.name;
        let label = format!("{name}-{}", self.trusted.fetch_add(1, Ordering::Relaxed));
        let fresh = Profiles::new(self.control, &json!({"reviewed-by": label}));
        for mut configuration in configurations() {
            configuration["metadata"]["name"] = json!(name);
            let item = format!("{}/{name}", collection(&configuration));
            let selector =
                json!({"matchExpressions": [{"key": "reviewed-by", "operator": "In", "values": [name, label]}]});
            let patch = json!([
                {"op": "replace", "path": "/webhooks/0/clientConfig/caBundle", "value": STANDARD.encode(bundle)},
                {"op": "replace", "path": "/webhooks/0/namespaceSelector", "value": selector},
            ]);
            let patched = self.control.api.patch(&item, "json", &patch);
            assert_eq!(patched.status, 200, "{patched:#?}");
        }
        wait_until("the API server goes by the new configuration", || {
            let validated = fresh.try_to_create(&bad("a", 0)).status;
            let mutated = fresh.try_to_create(&good("a"));
            validated == 500 || (validated == 422 && is_filled_in(&mutated))
        });
    }

    /// Replaces the certificate that is served, as whoever renews it does: in its files.
    fn serve(&self, authority: &Authority) {
        let reloads = || metric(&self.webhook, "certificate_reloads_total{result=\"success\"}");
        let before = reloads();
        write_pair(authority, &self.webhook.name, &self.files);
        wait_until("the new certificate is served", || reloads() > before);
    }
}

/// The value of one of the webhook's own metrics.
pub(crate) fn metric(webhook: &Webhook, series: &str) -> u64 {
    let server = webhook.server.as_ref().expect("it serves");
    let line = format!("clusterprofile_webhook_{series} ");
    let metrics = get(server.admin, "/metrics");
    let value = metrics.lines().find_map(|metric| metric.strip_prefix(&line)?.parse().ok());
    value.unwrap_or_else(|| panic!("no {series}"))
}

fn write_pair(authority: &Authority, name: &str, files: &Files) {
    let signed = authority.server(&[&format!("{name}.{NAMESPACE}.svc")]);
    let write = |path: &Path, pem: &str| fs::write(path, pem).expect("a file can be written");
    write(&files.certificate, &signed.certificate);
    write(&files.key, &signed.key);
}

/// Writers of profiles, each of a good one and a bad one in turn, and what became of them.
struct Writers<'c> {
    profiles: Profiles<'c>,
    good: fn(&str) -> Value,
    stop: AtomicBool,
    turns: AtomicUsize,
    accepted: AtomicUsize,
    failed: Mutex<Vec<Answer>>,
}

impl<'c> Writers<'c> {
    fn new(control: &'c ControlPlane, webhook: &Webhook, good: fn(&str) -> Value) -> Self {
        Self {
            profiles: Profiles::new(control, &webhook.labels()),
            good,
            stop: AtomicBool::new(false),
            turns: AtomicUsize::new(0),
            accepted: AtomicUsize::new(0),
            failed: Mutex::default(),
        }
    }

    /// Writes until `meanwhile` is done.
    fn write(&self, meanwhile: impl FnOnce()) {
        const WRITERS: usize = 50;
        self.stop.store(false, Ordering::Relaxed);
        thread::scope(|scope| {
            for _ in 0..WRITERS {
                scope.spawn(|| self.write_until_stopped());
            }
            let _stop = Stop(&self.stop);
            meanwhile();
        });
    }

    fn write_until_stopped(&self) {
        /// Far more than a rotation takes.
        const MOST: usize = 50_000;
        while !self.stop.load(Ordering::Relaxed) {
            let turn = self.turns.fetch_add(1, Ordering::Relaxed);
            assert!(turn < MOST, "they are not stopped");
            let created = self.profiles.create(&(self.good)(&format!("good-{turn}")));
            if created.status == 201 && is_filled_in(&created) {
                self.accepted.fetch_add(1, Ordering::Relaxed);
            } else {
                self.note(created);
            }
            let denied = self.profiles.create(&bad(&format!("bad-{turn}"), turn));
            if denied.status != 422 {
                self.note(denied);
            }
        }
    }

    fn note(&self, answer: Answer) {
        self.failed.lock().expect("no writer panics").push(answer);
    }

    /// Waits until each has had about two turns more.
    fn go_on(&self) {
        const TURNS: usize = 100;
        let before = self.turns.load(Ordering::Relaxed);
        wait_until("the writers write", || self.turns.load(Ordering::Relaxed) > before + TURNS);
    }

    fn assert_stored_what_was_accepted(&self) {
        let names = self.profiles.names();
        assert!(names.iter().all(|name| name.starts_with("good-")), "{names:?}");
        assert_eq!(names.len(), self.accepted.load(Ordering::Relaxed));
    }
}

/// Tells the writers to stop, also where the test fails.
struct Stop<'s>(&'s AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
