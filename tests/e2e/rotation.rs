//! The CA of the webhook's certificate is replaced, while 50 writers write.

use std::{
    fs,
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use clusterprofile_webhook::{
    server::Config,
    tls::{Certificates, Files},
};
use serde_json::json;
use testkit::{
    ca::Ca,
    control_plane::ControlPlane,
    profiles::{Profiles, bad, good, is_filled_in, labelled},
    server::{Server, value_of},
    wait::wait_until,
    webhook::{NAMESPACE, Webhook, collection, configurations},
    writers::Writers,
};

/// First both CAs are trusted, then the new certificate is served, then the old CA is removed: no call fails.
pub(crate) fn replaced(control: &ControlPlane) {
    let rotation = Rotation::start(control, "rotated");
    let (old, new) = (&rotation.webhook.ca, Ca::new("new"));
    let writers = Writers::new(rotation.profiles(), good, Duration::ZERO);
    writers.write(|| {
        writers.go_on();
        rotation.trust(&format!("{}{}", old.certificate, new.certificate), DENIED);
        writers.go_on();
        rotation.serve(&new);
        writers.go_on();
        rotation.trust(&new.certificate, DENIED);
        writers.go_on();
    });
    writers.assert_stored_what_was_accepted();
    let failed = writers.take_failed();
    assert!(failed.is_empty(), "{failed:#?}");
}

/// The old CA is removed before the new certificate is served: calls fail until it is, and no invalid profile is
/// stored.
pub(crate) fn replaced_the_wrong_way_round(control: &ControlPlane) {
    let rotation = Rotation::start(control, "rotated-badly");
    let new = Ca::new("new");
    // Without profiles that need a fix: if only /mutate fails, the webhook correctly denies them.
    let writers = Writers::new(rotation.profiles(), labelled, Duration::ZERO);
    writers.write(|| {
        writers.go_on();
        rotation.trust(&new.certificate, NOT_CALLED);
        writers.go_on();
    });
    let failed = writers.take_failed();
    assert!(!failed.is_empty(), "a certificate of an unknown authority is taken");
    for answer in failed {
        let message = answer.body["message"].as_str().unwrap_or_default();
        assert!(answer.status == 500 && message.ends_with(UNKNOWN), "{answer:#?}");
    }
    rotation.serve(&new);
    writers.write(|| writers.go_on());
    writers.assert_stored_what_was_accepted();
    let failed = writers.take_failed();
    assert!(failed.is_empty(), "{failed:#?}");
}

/// Refused by the webhook.
const DENIED: u16 = 422;
/// Refused by the API server, which cannot call the webhook.
const NOT_CALLED: u16 = 500;

const UNKNOWN: &str = "tls: failed to verify certificate: x509: certificate signed by unknown authority";

/// A webhook with a certificate in files.
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
        write_pair(&webhook.ca, name, &files);
        let certificates = Certificates::new(files.load().expect("it was just written"));
        let ca = webhook.ca.certificate.clone().into_bytes();
        let server = Server::start_at(webhook.address, Config::default(), certificates, Some(files.clone()), ca);
        webhook.server = Some(server);
        for mut configuration in configurations() {
            // So many writers and a busy machine must not make it a test of speed.
            configuration["webhooks"][0]["timeoutSeconds"] = json!(30);
            webhook.register(control, configuration);
        }
        let rotation = Self { control, webhook, files, trusted: AtomicUsize::new(0) };
        rotation.trust(&rotation.webhook.ca.certificate, DENIED);
        rotation
    }

    /// Profiles that the webhook reviews.
    fn profiles(&self) -> Profiles<'c> {
        Profiles::new(self.control, &self.webhook.labels())
    }

    /// Replaces `caBundle` in both configurations, and waits until the API server uses it: it refuses an invalid
    /// profile with `refusal`.
    ///
    /// The use of a bundle is not visible, so each one comes with a namespace that was not reviewed before.
    fn trust(&self, bundle: &str, refusal: u16) {
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
            validated == refusal && (refusal == NOT_CALLED || is_filled_in(&mutated))
        });
    }

    /// Replaces the serving certificate in its files, as an external renewal does.
    fn serve(&self, authority: &Ca) {
        let reloads = || metric(&self.webhook, "certificate_reloads_total{result=\"success\"}");
        let before = reloads();
        write_pair(authority, &self.webhook.name, &self.files);
        wait_until("the new certificate is served", || reloads() > before);
    }
}

/// The value of one of the webhook's own metrics.
pub(crate) fn metric(webhook: &Webhook, series: &str) -> u64 {
    value_of(webhook.server.as_ref().expect("it serves").admin, series)
}

fn write_pair(authority: &Ca, name: &str, files: &Files) {
    let signed = authority.server(&[&format!("{name}.{NAMESPACE}.svc")]);
    let write = |path: &Path, pem: &str| fs::write(path, pem).expect("a file can be written");
    write(&files.certificate, &signed.certificate);
    write(&files.key, &signed.key);
}
