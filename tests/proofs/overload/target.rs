//! A replica that the API server and other clients call.

use std::{
    cell::Cell,
    env, fs,
    path::PathBuf,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, pem::PemObject as _},
    version::TLS13,
};
use serde_json::{Value, json};
use tokio_rustls::TlsConnector;

use super::{
    caller::{Caller, NAME},
    probes::Probes,
    sockets::Sockets,
};
use testkit::{
    control_plane::ControlPlane,
    profiles::{Profiles, bad, good, is_filled_in},
    rendered::rendered,
    replica::{Replica, arguments, with_flags},
    server::value_of,
    wait::wait_until,
    webhook::{NAMESPACE, Webhook, collection, configurations},
    writers::Writers,
};

/// The replica, and what registers it.
pub(crate) struct Target<'p> {
    plane: &'p ControlPlane,
    webhook: Webhook,
    pub replica: Replica,
    sockets: Sockets,
    /// The most of all samples.
    peak: Cell<u64>,
}

/// What was measured while something was done to the replica.
pub(crate) struct Measured {
    /// The most memory that was resident, in bytes.
    pub memory: u64,
    /// The most that the kernel held for its sockets, in bytes.
    pub sockets: u64,
    pub probes: Probes,
}

impl<'p> Target<'p> {
    /// Runs the Deployment's own command line with these flags, and registers what listens.
    pub(crate) fn start(plane: &'p ControlPlane, name: &str, flags: &[&str]) -> Self {
        let webhook = Webhook::unserved(plane, name);
        let directory = plane.directory().join(name);
        fs::create_dir(&directory).expect("a directory can be made");
        let pair = webhook.ca.server(&[&format!("{name}.{NAMESPACE}.svc"), NAME]);
        for (file, content) in [("tls.crt", pair.certificate), ("tls.key", pair.key)] {
            fs::write(directory.join(file), content).expect("a file can be written");
        }
        let rendered = rendered(plane.kubectl(), "manifests/overlays/certificate-pair");
        let deployment = rendered.iter().find(|object| object["kind"] == "Deployment").expect("there is one");
        let arguments = with_flags(arguments(deployment, &directory, webhook.address), flags);
        // The binary of an image, if it was built, because the cost of work matters for attacks.
        let program = env::var_os("STATIC_BINARY").map_or_else(testkit::program, PathBuf::from);
        let replica = Replica::start_program(&program, &arguments, &directory, None);
        for mut configuration in configurations() {
            configuration["webhooks"][0]["timeoutSeconds"] = json!(TIMEOUT.as_secs());
            webhook.register(plane, configuration);
        }
        let sockets = Sockets::of(replica.pid());
        let target = Self { plane, webhook, replica, sockets, peak: Cell::default() };
        let profiles = target.profiles();
        wait_until("both webhooks are called", || {
            profiles.try_to_create(&bad("a", 0)).status == 422 && is_filled_in(&profiles.try_to_create(&good("a")))
        });
        target
    }

    /// A client that is not the API server.
    pub(crate) fn caller(&self) -> Caller {
        let mut roots = RootCertStore::empty();
        let authority = CertificateDer::from_pem_slice(self.webhook.ca.certificate.as_bytes());
        roots.add(authority.expect("it is PEM")).expect("it is a certificate");
        // The least work for a client that opens many connections.
        let provider = CryptoProvider { kx_groups: vec![aws_lc_rs::kx_group::X25519], ..aws_lc_rs::default_provider() };
        let config = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[&TLS13])
            .expect("the provider knows it");
        let config = config.with_root_certificates(roots).with_no_client_auth();
        Caller::new(self.replica.address, TlsConnector::from(Arc::new(config)))
    }

    /// What memory is taken, and what kubelet sees, until `meanwhile` is done, which takes the samples.
    pub(crate) fn measured(&self, meanwhile: impl FnOnce()) -> Measured {
        self.replica.forget_peak_memory();
        self.peak.set(0);
        let mut probes = Probes::default();
        probes.probe(self.replica.admin, meanwhile);
        Measured { memory: self.replica.peak_memory(), sockets: self.peak.get(), probes }
    }

    /// Waits until no more than 8 MB above `idle` bytes are resident, for ten seconds at most. Returns what was
    /// measured, and what is wrong if more stays.
    pub(crate) fn gives_back(&self, idle: u64) -> (String, Option<String>) {
        const BACK: Duration = Duration::from_secs(10);
        const STAYS: u64 = 8_000_000;
        let (ended, mut resident) = (Instant::now(), self.replica.memory());
        while resident > idle + STAYS && ended.elapsed() < BACK {
            thread::park_timeout(Duration::from_millis(50));
            resident = self.replica.memory();
        }
        let megabytes = |bytes: u64| bytes.div_ceil(1_000_000);
        let (now, before) = (megabytes(resident), megabytes(idle));
        let measured =
            format!("{} ms later {now} MB were resident, and {before} MB before", ended.elapsed().as_millis());
        (measured, (resident > idle + STAYS).then(|| format!("{now} MB stay resident, {before} MB were when idle")))
    }

    /// Looks how much the kernel holds now.
    pub(crate) fn sample(&self) {
        self.peak.set(self.peak.get().max(self.sockets.bytes()));
    }

    /// 50 writes a second through the API server.
    pub(crate) fn writers(&self, good: fn(&str) -> Value) -> Writers<'p> {
        /// Half as many as in other proofs, because the other clients need a part of the cores.
        const PACE: Duration = Duration::from_secs(2);
        Writers::new(self.profiles(), good, PACE)
    }

    fn profiles(&self) -> Profiles<'p> {
        Profiles::new(self.plane, &self.webhook.labels())
    }

    /// The value of a series.
    pub(crate) fn metric(&self, series: &str) -> u64 {
        value_of(self.replica.admin, series)
    }
}

impl Drop for Target<'_> {
    fn drop(&mut self) {
        for configuration in configurations() {
            drop(self.plane.api.delete(&format!("{}/{}", collection(&configuration), self.webhook.name)));
        }
    }
}

/// How long the API server waits: with so many others on this machine's cores it must not be a test of their speed.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(10);
