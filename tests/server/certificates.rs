//! Certificate pairs: read, replaced while serving, refused.

use std::{
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use clusterprofile_webhook::{
    server::Config,
    tls::{Certificates, Files},
};
use rcgen::{CertificateParams, Issuer, KeyPair};

use super::{
    answered, connect,
    server::{Server, get},
    wait::wait_until,
};

/// An authority, and pairs that it has signed, laid out as kubelet does.
struct Volume {
    directory: tempfile::TempDir,
    issuer: Issuer<'static, KeyPair>,
    ca: Vec<u8>,
    number: usize,
}

impl Volume {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let ca = params.self_signed(&key).unwrap().pem().into_bytes();
        let mut volume =
            Self { directory: tempfile::tempdir().unwrap(), issuer: Issuer::new(params, key), ca, number: 0 };
        volume.swap(true);
        for file in ["tls.crt", "tls.key"] {
            std::os::unix::fs::symlink(format!("..data/{file}"), volume.path().join(file)).unwrap();
        }
        volume
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn files(&self) -> Files {
        Files { certificate: self.path().join("tls.crt"), key: self.path().join("tls.key") }
    }

    /// A new directory, then the link renamed over; returns the leaf, DER. A torn one has the key of another.
    fn swap(&mut self, whole: bool) -> Vec<u8> {
        self.number += 1;
        let key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(vec!["localhost".into()]).unwrap().signed_by(&key, &self.issuer).unwrap();
        let key = if whole { key } else { KeyPair::generate().unwrap() };
        let name = format!("..{}", self.number);
        std::fs::create_dir(self.path().join(&name)).unwrap();
        std::fs::write(self.path().join(&name).join("tls.crt"), leaf.pem()).unwrap();
        std::fs::write(self.path().join(&name).join("tls.key"), key.serialize_pem()).unwrap();
        std::os::unix::fs::symlink(&name, self.path().join("..data_tmp")).unwrap();
        std::fs::rename(self.path().join("..data_tmp"), self.path().join("..data")).unwrap();
        leaf.der().to_vec()
    }
}

fn served_leaf(server: &Server) -> Vec<u8> {
    let client = connect(server);
    client.0.get_ref().conn.peer_certificates().expect("a certificate is served")[0].to_vec()
}

#[test]
fn every_swap_of_the_certificate_is_picked_up_under_load_and_a_torn_one_never() {
    let mut volume = Volume::new();
    let certificates = Certificates::new(volume.files().load().expect("the first pair is good"));
    let server = Server::start_with(Config::default(), certificates, Some(volume.files()), volume.ca.clone());
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let load = scope.spawn(|| {
            let mut kept = connect(&server);
            let mut count = 0;
            while !stop.load(Ordering::Relaxed) {
                assert!(answered(&mut kept), "an open connection is not disturbed");
                assert!(answered(&mut connect(&server)), "new ones always see a whole pair");
                count += 1;
            }
            count
        });
        let mut last = Vec::new();
        for _ in 0..3 {
            last = volume.swap(true);
            wait_until("the new pair is served", || served_leaf(&server) == last);
        }
        let failures = || reloads(&server, "failure");
        let before = failures();
        volume.swap(false);
        wait_until("the torn pair is seen", || failures() > before);
        assert_eq!(served_leaf(&server), last, "the last good pair stays");
        assert!(get(server.admin, "/readyz").starts_with("HTTP/1.1 200"));
        let next = volume.swap(true);
        wait_until("the next good pair is served", || served_leaf(&server) == next);
        stop.store(true, Ordering::Relaxed);
        assert!(load.join().expect("no request failed") > 0);
    });
    assert_eq!(reloads(&server, "success"), 4);
}

fn reloads(server: &Server, result: &str) -> u64 {
    let name = format!("clusterprofile_webhook_certificate_reloads_total{{result=\"{result}\"}} ");
    let metrics = get(server.admin, "/metrics");
    metrics.lines().find_map(|line| line.strip_prefix(&name)?.parse().ok()).unwrap_or_default()
}

#[test]
fn pairs_that_cannot_be_served_are_refused_with_file_and_cause() {
    let volume = Volume::new();
    let refused = |certificate: &str, key: &str| {
        let files = Files { certificate: volume.path().join(certificate), key: volume.path().join(key) };
        files.load().expect_err("it is no pair").to_string()
    };
    std::fs::write(volume.path().join("empty"), "").unwrap();
    std::fs::write(volume.path().join("other.key"), KeyPair::generate().unwrap().serialize_pem()).unwrap();
    assert!(refused("missing", "tls.key").contains("missing: No such file"));
    assert!(refused("empty", "tls.key").contains("empty: no PEM certificates"));
    assert!(refused("tls.crt", "empty").contains("empty: no PEM private key"));
    assert!(refused("tls.crt", "other.key").contains("are no pair"));
}
