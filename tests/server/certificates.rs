//! Certificate pairs: read, replaced while serving, rejected.

use std::{
    fs,
    io::{BufRead as _, Read as _},
    net::SocketAddr,
    os::unix::fs::symlink,
    path::Path,
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use clusterprofile_webhook::{
    error::error_chain,
    server::Config,
    tls::{Certificates, Files},
};
use rcgen::{Certificate, CertificateParams, Issuer, KeyPair};
use testkit::{
    server::{Server, get},
    wait::wait_until,
};
use time::{Duration, OffsetDateTime};

use super::{answered, connect, metric, process::Program};

/// A CA and certificate pairs, in a directory laid out by kubelet.
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
            symlink(format!("..data/{file}"), volume.path().join(file)).unwrap();
        }
        volume
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn files(&self) -> Files {
        Files { certificate: self.path().join("tls.crt"), key: self.path().join("tls.key") }
    }

    /// Replaces the pair by one for localhost, and returns the leaf certificate in DER. A mismatched pair has another
    /// key.
    fn swap(&mut self, whole: bool) -> Vec<u8> {
        let (leaf, key) = self.sign(&leaf());
        let key = if whole { key } else { KeyPair::generate().unwrap() };
        self.put(&leaf, &key);
        leaf.der().to_vec()
    }

    fn sign(&self, params: &CertificateParams) -> (Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.issuer).unwrap(), key)
    }

    /// Makes a new directory and renames the link to it.
    fn put(&mut self, leaf: &Certificate, key: &KeyPair) {
        self.number += 1;
        let name = format!("..{}", self.number);
        fs::create_dir(self.path().join(&name)).unwrap();
        fs::write(self.path().join(&name).join("tls.crt"), leaf.pem()).unwrap();
        fs::write(self.path().join(&name).join("tls.key"), key.serialize_pem()).unwrap();
        symlink(&name, self.path().join("..data_tmp")).unwrap();
        fs::rename(self.path().join("..data_tmp"), self.path().join("..data")).unwrap();
    }
}

fn leaf() -> CertificateParams {
    CertificateParams::new(vec!["localhost".into()]).unwrap()
}

fn served_leaf(server: &Server) -> Vec<u8> {
    let client = connect(server);
    client.0.get_ref().conn.peer_certificates().expect("a certificate is served")[0].to_vec()
}

#[test]
fn every_new_certificate_is_loaded_under_load_and_a_mismatched_pair_never() {
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
        let failures = || reloads(server.admin, "failure");
        let before = failures();
        volume.swap(false);
        wait_until("the torn pair is seen", || failures() > before);
        assert_eq!(served_leaf(&server), last, "the last good pair stays");
        assert!(metric(&server, &unusable(1)), "for as long as the file is torn");
        assert!(get(server.admin, "/readyz").starts_with("HTTP/1.1 200"));
        let next = volume.swap(true);
        wait_until("the next good pair is served", || served_leaf(&server) == next);
        assert!(metric(&server, &unusable(0)));
        stop.store(true, Ordering::Relaxed);
        assert!(load.join().expect("no request failed") > 0);
    });
    assert_eq!(reloads(server.admin, "success"), 4);
}

fn unusable(is_unusable: u8) -> String {
    format!("clusterprofile_webhook_file_unusable{{file=\"certificate\"}} {is_unusable}")
}

fn reloads(admin: SocketAddr, result: &str) -> u64 {
    let name = format!("clusterprofile_webhook_certificate_reloads_total{{result=\"{result}\"}} ");
    let metrics = get(admin, "/metrics");
    metrics.lines().find_map(|line| line.strip_prefix(&name)?.parse().ok()).unwrap_or_default()
}

#[test]
fn a_pair_outside_its_validity_does_not_replace_a_valid_one() {
    let mut volume = Volume::new();
    let first = volume.swap(true);
    let certificates = Certificates::new(volume.files().load().expect("the first pair is good"));
    let server = Server::start_with(Config::default(), certificates, Some(volume.files()), volume.ca.clone());
    let in_seconds = |seconds| OffsetDateTime::now_utc() + Duration::seconds(seconds);
    for (failures, from, until) in [(1, -200, -100), (2, 8, 100)] {
        let mut params = leaf();
        (params.not_before, params.not_after) = (in_seconds(from), in_seconds(until));
        let (leaf, key) = volume.sign(&params);
        volume.put(&leaf, &key);
        wait_until("it is seen", || reloads(server.admin, "failure") == failures);
        assert_eq!(served_leaf(&server), first, "the valid one stays");
    }
    assert!(get(server.admin, "/readyz").starts_with("HTTP/1.1 200"));
    assert!(metric(&server, &unusable(1)), "for as long as it waits");
    wait_until("its time comes", || reloads(server.admin, "success") == 1);
    assert!(metric(&server, &unusable(0)));
    assert_ne!(served_leaf(&server), first);
    assert_eq!(reloads(server.admin, "failure"), 2, "counted once");
}

#[test]
fn a_certificate_that_is_not_renewed_is_logged_once() {
    let mut volume = Volume::new();
    let mut params = leaf();
    let now = OffsetDateTime::now_utc();
    (params.not_before, params.not_after) = (now - Duration::days(80), now + Duration::days(6));
    let (leaf, key) = volume.sign(&params);
    volume.put(&leaf, &key);
    let Files { certificate, key } = volume.files();
    let arguments = [format!("--tls-cert={}", certificate.display()), format!("--tls-key={}", key.display())];
    let (program, mut log) = Program::start(&[&arguments[0], &arguments[1], "--drain=0s"]);
    // Only a certificate that was in use when the files were first read can be found to expire.
    let is_warning = |line: &str| line.contains("\"certificate expires soon");
    assert!(log.by_ref().lines().any(|line| is_warning(&line.unwrap())), "the program ended without a warning");
    volume.swap(true);
    wait_until("it is renewed", || reloads(program.admin, "success") == 1);
    program.signal("TERM");
    assert!(log.lines().all(|line| !is_warning(&line.unwrap())), "it is logged once");
}

#[test]
fn unusable_pairs_are_rejected_with_file_and_cause() {
    let volume = Volume::new();
    let good = |file: &str| fs::read_to_string(volume.path().join(file)).unwrap();
    let refused = |certificate: &str, key: &str| {
        let files = Files { certificate: volume.path().join(certificate), key: volume.path().join(key) };
        let error = error_chain(&files.load().expect_err("it is no pair"));
        error.replace(&format!("{}/", volume.path().display()), "")
    };
    let written = |name: &str, text: &str| fs::write(volume.path().join(name), text).unwrap();
    let refused_chain = |text: &str| {
        written("a", text);
        refused("a", "tls.key")
    };
    let refused_key = |text: &str| {
        written("a.key", text);
        refused("tls.crt", "a.key")
    };
    assert_eq!(refused("missing", "tls.key"), "missing: cannot read file: No such file or directory");
    assert_eq!(refused("..data", "tls.key"), "..data: cannot read file: not a regular file");
    let made = Command::new("mkfifo").arg(volume.path().join("pipe")).status().unwrap();
    assert!(made.success());
    assert_eq!(refused("tls.crt", "pipe"), "pipe: cannot read file: not a regular file");

    assert_eq!(refused_chain(""), "a: no certificate found: the file is empty");
    assert_eq!(refused_chain(&good("tls.key")), "a: no certificate found: expected a line -----BEGIN CERTIFICATE-----");
    let chain = |second: &str| format!("{}{second}", good("tls.crt"));
    assert_eq!(
        refused_chain(&chain("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n")),
        "a: certificate 2 is invalid: it is not X.509"
    );
    let cut = &good("tls.crt")[..200];
    assert_eq!(refused_chain(&chain(cut)), "a: certificate 2 is invalid: its PEM block has no end line");

    let no_key = "expected a line -----BEGIN PRIVATE KEY-----";
    assert_eq!(refused_key(""), "a.key: no private key found: the file is empty");
    assert_eq!(refused_key(&good("tls.crt")), format!("a.key: no private key found: {no_key}"));
    let encrypted = good("tls.key").replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    let older = good("tls.key").replacen('\n', "\nProc-Type: 4,ENCRYPTED\n\n", 1);
    for encrypted in [encrypted, older] {
        assert_eq!(refused_key(&encrypted), "a.key: the private key is encrypted; store it without a passphrase");
    }
    let cut = &good("tls.key")[..60];
    assert_eq!(refused_key(cut), "a.key: the private key is invalid: its PEM block has no end line");
    let unknown = refused_key(ON_SECP256K1);
    assert!(
        unknown.starts_with("a.key: unsupported or damaged private key: use RSA (2048 to 8192 bits),"),
        "{unknown}"
    );
    let other = refused_key(&KeyPair::generate().unwrap().serialize_pem());
    assert!(other.starts_with("a.key is not the key of tls.crt"), "{other}");
}

/// A key for this test only, of a type that TLS does not support.
const ON_SECP256K1: &str = "-----BEGIN PRIVATE KEY-----
MIGEAgEAMBAGByqGSM49AgEGBSuBBAAKBG0wawIBAQQgXmkrfix7pLSkSE0usj3X
0I6GgWUPEDb3ZZwVPwmfIwehRANCAATzHKnzGK7urIzKXrih+DS9/fNJ3wHysKca
CfgNYrszsKCban8pVQ1f2V1JtWQk2lgU88/CUF3dfWfpiVdfsaB1
-----END PRIVATE KEY-----
";
