//! cert-manager renews and replaces the webhook's certificates and their CA, while writers write.

use std::{
    io,
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rustls::{
    ClientConnection,
    pki_types::{CertificateDer, ServerName},
    version::TLS13,
};
use serde_json::{Value, json};
use testkit::{
    calls::Calls,
    client::tls,
    control_plane::ControlPlane,
    mount::{Kubelet, Mount},
    page::Section,
    profiles::{Profiles, good},
    rendered::text,
    server::get,
    wait::wait_until,
    writers::Writers,
};

use super::{
    cert_manager::CertManager,
    install::{is_refused_unseen, stored_configurations},
    installed::{self, DRY_RUN, MANAGER, mounted_secret, serve_mounted, stored},
    manifests::Shell,
};

/// From the installation on, no call fails and no invalid profile is stored.
pub(crate) fn no_call_fails(plane: &ControlPlane, shell: &Shell) {
    /// 50 writers then create 50 profiles a second.
    const PACE: Duration = Duration::from_secs(2);
    let scripts = Section::page("install").section("Install with kustomize").scripts();
    let [_, install, replace_authority, ..] = &scripts[..] else { panic!("which are these? {scripts:#?}") };
    shell.be_patient();
    shell.run("kubectl apply -k manifests/crd");
    let cert_manager = CertManager::find().expect("without it there is no such trial");
    let _controllers = cert_manager.start(plane, shell);
    let profiles = installed::Profiles::new(plane);

    shell.run(install);
    wait_until("it is registered", || is_refused_unseen(&profiles.create("new", Some(MANAGER), DRY_RUN)));
    let writers = Writers::new(Profiles::new(plane, &json!({})), good, PACE);
    // They live longer than the writers.
    let (mut kubelet, mut server) = (None, None);
    writers.write(|| {
        let deployment = stored(plane, "Deployment");
        let namespace = text(&deployment, "/metadata/namespace");
        let mount = Mount::new(shell.directory.join("mounted"));
        let mounted = mount.directory.clone();
        kubelet = Some(Kubelet::start(plane.kubectl(), namespace, mounted_secret(&deployment), mount));
        wait_until("there is a Secret to mount", || mounted.join("tls.crt").exists());
        let replica = server.insert(serve_mounted(plane, shell, &mounted));
        profiles.wait_until_reviewed();
        writers.go_on();
        // While no replica responded, no profile could be written.
        let refused = writers.take_failed();
        assert!(refused.iter().all(|answer| matches!(answer.status, 422 | 500)), "{refused:#?}");

        let before = Calls::count(&plane.api).failed;
        assert!(before > 0, "those were failed calls, too");
        let hub = Hub { plane, address: replica.address, namespace, writers: &writers };
        hub.renewed_by_the_clock();
        hub.reissued("the Secret was deleted", || {
            shell.run(&format!("kubectl delete secret -n {namespace} {CERTIFICATE}"));
        });
        hub.authority_renewed();
        hub.authority_replaced(shell, replace_authority);
        assert_eq!(Calls::count(&plane.api).failed, before);
        let metrics = get(replica.admin, "/metrics");
        let failed = metrics.lines().filter(|line| line.contains("result=\"failure\"") && !line.ends_with(" 0"));
        assert_eq!(failed.collect::<Vec<_>>(), [""; 0], "a pair could not be read");
    });
    let failed = writers.take_failed();
    assert!(failed.is_empty(), "{failed:#?}");
    writers.assert_stored_what_was_accepted();
}

/// The names of the overlay's Certificates and of their Secrets.
const CERTIFICATE: &str = "clusterprofile-webhook-tls";
const AUTHORITY: &str = "clusterprofile-webhook-ca";

/// The installed webhook and its writers.
struct Hub<'h> {
    plane: &'h ControlPlane,
    address: SocketAddr,
    namespace: &'h str,
    writers: &'h Writers<'h>,
}

impl Hub<'_> {
    fn renewed_by_the_clock(&self) {
        /// Renewal four seconds after the issuance.
        const OFTEN: [&str; 2] = ["1h", "59m56s"];
        let certificate = self.certificate(CERTIFICATE);
        let set = |[duration, renew_before]: [Option<&str>; 2]| {
            let spec = json!({"spec": {"duration": duration, "renewBefore": renew_before}});
            let patched = self.plane.api.patch(&certificate, "merge", &spec);
            assert_eq!(patched.status, 200, "{patched:#?}");
        };
        set(OFTEN.map(Some));
        self.reissued("it is to be valid for an hour", || self.renew(CERTIFICATE));
        for _ in 0..2 {
            self.reissued("its time had come", || {});
        }
        set([None; 2]);
        self.reissued("it is to be valid for as long as before", || self.renew(CERTIFICATE));
        let events = self.plane.api.get(&format!("/api/v1/namespaces/{}/events", self.namespace)).body;
        assert!(events.to_string().contains("Renewing certificate as renewal was scheduled at"), "{events:#}");
    }

    /// The CA keeps its key, so leaf certificates stay valid.
    fn authority_renewed(&self) {
        let old = self.authority();
        self.renew(AUTHORITY);
        let new = self.trusted_with(&old);
        self.served(&new).expect("the renewed authority vouches for what the old one has signed");
        self.reissued("its authority was renewed", || self.renew(CERTIFICATE));
    }

    /// Replaces the CA with the commands of `docs/install.md`.
    fn authority_replaced(&self, shell: &Shell, script: &str) {
        let script = script.replace("\\\n", "");
        let commands: Vec<_> = script.trim_end().lines().collect();
        let [replace, reissue, forget] = commands[..] else { panic!("which are these? {commands:#?}") };
        let old = self.authority();
        shell.run(replace);
        let new = self.trusted_with(&old);
        assert!(self.served(&new).is_err(), "the key is the old one");
        self.reissued("its authority was replaced", || {
            shell.run(reissue);
        });
        shell.run(forget);
        wait_until("all others are forgotten", || self.bundles().iter().all(|bundle| *bundle == new));
        self.served(&new).expect("the new authority has signed it");
        self.writers.go_on();
    }

    /// The CA that replaces `old`, once both configurations have both.
    fn trusted_with(&self, old: &str) -> String {
        let mut new = None;
        wait_until("the authority is another", || {
            new = self.try_authority().filter(|new| new != old);
            new.is_some()
        });
        let new = new.expect("it was waited for");
        wait_until("the new authority is trusted", || self.bundles().iter().all(|bundle| bundle.contains(&new)));
        assert!(self.bundles().iter().all(|bundle| bundle.contains(old)), "the old one is forgotten too early");
        self.writers.go_on();
        new
    }

    /// Waits until the server has another certificate. An untrusted one is never served.
    fn reissued(&self, why: &str, cause: impl FnOnce()) {
        let leaf =
            || self.bundles().map(|bundle| self.served(&bundle).unwrap_or_else(|error| panic!("{why}: {error}")));
        let before = leaf();
        cause();
        wait_until(why, || leaf() != before);
        self.writers.go_on();
    }

    /// The serving certificate, if one of these CAs has signed it.
    fn served(&self, authorities: &str) -> io::Result<CertificateDer<'static>> {
        let name = format!("clusterprofile-webhook.{}.svc", self.namespace);
        let name = ServerName::try_from(name).expect("a Service has a name");
        let mut connection = ClientConnection::new(tls(authorities.as_bytes(), &[&TLS13]), name).expect("it is sound");
        let mut stream = TcpStream::connect(self.address)?;
        stream.set_read_timeout(Some(Duration::from_mins(1)))?;
        while connection.is_handshaking() {
            connection.complete_io(&mut stream)?;
        }
        let [leaf, ..] = connection.peer_certificates().expect("its handshake is over") else {
            panic!("a server has a certificate")
        };
        Ok(leaf.clone().into_owned())
    }

    /// The CA certificates in both configurations.
    fn bundles(&self) -> [String; 2] {
        let bundles = stored_configurations(self.plane);
        let bundles =
            bundles.iter().map(|configuration| decoded(&configuration["webhooks"][0]["clientConfig"]["caBundle"]));
        bundles.collect::<Option<Vec<_>>>().and_then(|bundles| bundles.try_into().ok()).expect("both have one")
    }

    fn authority(&self) -> String {
        self.try_authority().expect("there is one")
    }

    fn try_authority(&self) -> Option<String> {
        let secret = self.plane.api.get(&format!("/api/v1/namespaces/{}/secrets/{AUTHORITY}", self.namespace)).body;
        decoded(&secret["data"]["tls.crt"])
    }

    /// Requests a renewal as `cmctl renew` does, once no issuance is in progress: the end of one would remove the
    /// request.
    fn renew(&self, name: &str) {
        let certificate = self.certificate(name);
        wait_until("a renewal is requested", || {
            let mut current = self.plane.api.get(&certificate).body;
            let issuing = json!({
                "type": "Issuing",
                "status": "True",
                "reason": "ManuallyTriggered",
                "message": "Certificate re-issuance manually triggered",
                "lastTransitionTime": current["metadata"]["creationTimestamp"],
            });
            let conditions = current["status"]["conditions"].as_array_mut().expect("it has been issued");
            if conditions.iter().any(|condition| condition["type"] == "Issuing" && condition["status"] == "True") {
                return false;
            }
            conditions.retain(|condition| condition["type"] != "Issuing");
            conditions.push(issuing);
            self.plane.api.put(&format!("{certificate}/status"), &current).status == 200
        });
    }

    fn certificate(&self, name: &str) -> String {
        format!("/apis/cert-manager.io/v1/namespaces/{}/certificates/{name}", self.namespace)
    }
}

fn decoded(base64: &Value) -> Option<String> {
    String::from_utf8(STANDARD.decode(base64.as_str()?).ok()?).ok()
}
