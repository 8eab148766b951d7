//! Certificates in files: kubelet replaces the mounted files when cert-manager or another issuer renews them.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use testkit::{
    control_plane::ControlPlane,
    mount::Mount,
    profiles::{Profiles, bad, good, is_filled_in},
    program,
    wait::wait_until,
    webhook::{NAMESPACE, Webhook, collection, configurations},
    writers::Writers,
};

use super::{account::Account, fleet::Fleet};

/// Three replacements, after which nothing of the old pair remains.
pub(crate) fn swapped(plane: &ControlPlane, account: &mut Account<'_>, pace: Duration) {
    const SWAPS: u64 = 3;
    let webhook = Webhook::unserved(plane, "files");
    let directory = plane.directory().join("mounted");
    let mut mount = Mount::new(directory.clone());
    mount.put(&secret(&webhook));
    let file = |name: &str| directory.join(name).display().to_string();
    let arguments = [
        "serve".into(),
        "--listen=127.0.0.1:0".into(),
        "--admin-listen=127.0.0.1:0".into(),
        "--log-format=json".into(),
        format!("--tls-cert={}", file("tls.crt")),
        format!("--tls-key={}", file("tls.key")),
    ];
    let fleet = Fleet::start(&program(), webhook.address, arguments.into(), None, &plane.directory().join("files"));
    for mut configuration in configurations() {
        // A busy machine must not make it a test of speed.
        configuration["webhooks"][0]["timeoutSeconds"] = json!(30);
        webhook.register(plane, configuration);
    }
    let profiles = Profiles::new(plane, &webhook.labels());
    wait_until("both webhooks are called", || {
        profiles.try_to_create(&bad("a", 0)).status == 422 && is_filled_in(&profiles.try_to_create(&good("a")))
    });
    let writers = Writers::new(profiles, good, pace);
    account.skip(&writers);
    writers.write(|| {
        writers.go_on();
        for swap in 1..=SWAPS {
            mount.put(&secret(&webhook));
            let reloads = || fleet.metric("certificate_reloads_total{result=\"success\"}");
            wait_until("both serve it", || reloads().iter().all(|reloads| *reloads == swap));
            writers.go_on();
            account.close("files: kubelet swaps the mounted pair, three times", &writers, 0);
        }
    });
    account.add(&writers);
    writers.assert_stored_what_was_accepted();
    for configuration in configurations() {
        let deleted = plane.api.delete(&format!("{}/{}", collection(&configuration), webhook.name));
        assert_eq!(deleted.status, 200, "{deleted:#?}");
    }
}

/// A Secret with a new pair for the Service.
fn secret(webhook: &Webhook) -> Value {
    let pair = webhook.ca.server(&[&format!("{}.{NAMESPACE}.svc", webhook.name)]);
    json!({"data": {"tls.crt": STANDARD.encode(pair.certificate), "tls.key": STANDARD.encode(pair.key)}})
}
