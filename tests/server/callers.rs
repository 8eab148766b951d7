//! Client certificates: required, of which CA, with which name.

use std::{fs, io, path::Path, sync::Arc};

use clusterprofile_webhook::{
    server::Config,
    tls::{Callers, Certificates, Files, Pair},
};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    SanType,
};
use rustls::{
    AlertDescription, ClientConfig, Error, RootCertStore, SupportedProtocolVersion,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    version::{TLS12, TLS13},
};
use testkit::{
    ca::{Ca, Leaf},
    client::Client,
    server::{Server, get},
    wait::wait_until,
};
use time::{Duration, OffsetDateTime};

use super::{REVIEW, answered, metric};

const NAME: &str = "kube-apiserver";

#[test]
fn clients_with_an_accepted_name_get_a_response_and_others_an_alert() {
    let (authority, directory) = (Ca::new("clients"), tempfile::tempdir().unwrap());
    let names = [NAME, "api.example.com", "spiffe://example.com/api", "api@example.com"];
    let server = serve(&authority, &directory.path().join("ca.crt"), &names);
    let common_name = |name| {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params
    };
    let alternative = |name: SanType| {
        let mut params = common_name("another");
        params.subject_alt_names = vec![SanType::DnsName("another".try_into().unwrap()), name];
        params
    };
    let client = |params| authority.sign(params, ExtendedKeyUsagePurpose::ClientAuth);
    let accepted = [
        client(common_name(NAME)),
        client(alternative(SanType::DnsName("api.example.com".try_into().unwrap()))),
        client(alternative(SanType::URI("spiffe://example.com/api".try_into().unwrap()))),
        client(alternative(SanType::Rfc822Name("api@example.com".try_into().unwrap()))),
    ];
    let mut expired = common_name(NAME);
    (expired.not_before, expired.not_after) = (in_minutes(-20), in_minutes(-10));
    let mut early = common_name(NAME);
    early.not_before = in_minutes(10);
    let refused = [
        (client(common_name("KUBE-APISERVER")), AlertDescription::AccessDenied),
        (client(alternative(SanType::DnsName("*.example.com".try_into().unwrap()))), AlertDescription::AccessDenied),
        (client(CertificateParams::default()), AlertDescription::AccessDenied),
        (Ca::new("clients").client(NAME, "system:masters"), AlertDescription::DecryptError),
        (Ca::new("others").client(NAME, "system:masters"), AlertDescription::UnknownCA),
        (
            authority.sign(common_name(NAME), ExtendedKeyUsagePurpose::ServerAuth),
            AlertDescription::UnsupportedCertificate,
        ),
        (client(expired), AlertDescription::CertificateExpired),
        (client(early), AlertDescription::CertificateExpired),
    ];
    for version in [&TLS13, &TLS12] {
        for pair in &accepted {
            assert!(answered(&mut connect(&server, version, Some(pair)).unwrap()));
        }
        for (pair, alert) in &refused {
            assert_eq!(refusal(&server, version, Some(pair)), *alert);
        }
        assert_eq!(refusal(&server, version, None), AlertDescription::CertificateRequired);
    }
    assert!(get(server.admin, "/readyz").starts_with("HTTP/1.1 200"), "probes need no certificate");
    let reviews = 2 * accepted.len();
    let reviews =
        format!("clusterprofile_webhook_reviews_total{{phase=\"validate\",part=\"main\",allowed=\"false\"}} {reviews}");
    assert!(metric(&server, &reviews), "no other client got a review");
    let refusals = 2 * (refused.len() + 1);
    let refusals = format!("clusterprofile_webhook_failed_handshakes_total{{reason=\"refused\"}} {refusals}");
    assert!(metric(&server, &refusals), "each is counted as what it is");
}

#[test]
fn a_client_certificate_signs_no_other_but_an_intermediate_ca_does() {
    let (authority, directory) = (Ca::new("clients"), tempfile::tempdir().unwrap());
    let server = serve(&authority, &directory.path().join("ca.crt"), &[NAME]);
    let between = |is_ca| {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "between");
        (params.is_ca, params.key_usages) = (is_ca, vec![KeyUsagePurpose::KeyCertSign]);
        let signed = authority.sign(params.clone(), ExtendedKeyUsagePurpose::ClientAuth);
        let issuer = Issuer::new(params, KeyPair::from_pem(&signed.key).unwrap());
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, NAME);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &issuer).unwrap().pem() + &signed.certificate;
        Leaf { certificate, key: key.serialize_pem() }
    };
    let accepted = between(IsCa::Ca(BasicConstraints::Unconstrained));
    for version in [&TLS13, &TLS12] {
        assert!(answered(&mut connect(&server, version, Some(&accepted)).unwrap()));
        for is_ca in [IsCa::ExplicitNoCa, IsCa::NoCa] {
            assert_eq!(refusal(&server, version, Some(&between(is_ca))), AlertDescription::CertificateUnknown);
        }
    }
}

#[test]
fn client_cas_are_reloaded_while_serving_and_a_partial_file_changes_nothing() {
    let [old, new] = ["old", "new"].map(Ca::new);
    let [old_client, new_client] = [&old, &new].map(|authority| authority.client(NAME, "system:masters"));
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("ca.crt");
    let server = serve(&old, &file, &[NAME]);
    let connect = |pair| connect(&server, &TLS13, Some(pair));
    let is_answered = |pair| connect(pair).is_ok_and(|mut client| answered(&mut client));
    let counted = |result: &str, count: u8| {
        let line = format!("clusterprofile_webhook_client_ca_reloads_total{{result=\"{result}\"}} {count}");
        wait_until("the file is read", || metric(&server, &line));
        let unusable = u8::from(result == "failure");
        let unusable = format!("clusterprofile_webhook_file_unusable{{file=\"client_ca\"}} {unusable}");
        assert!(metric(&server, &unusable));
    };
    let mut kept = connect(&old_client).unwrap();
    assert!(answered(&mut kept));
    assert_eq!(refusal(&server, &TLS13, Some(&new_client)), AlertDescription::UnknownCA);

    let bundle = format!("{}{}", old.certificate, new.certificate);
    put(&file, &bundle);
    counted("success", 1);
    assert!(is_answered(&old_client) && is_answered(&new_client));

    put(&file, &new.certificate);
    counted("success", 2);
    assert!(is_answered(&new_client));
    assert_eq!(refusal(&server, &TLS13, Some(&old_client)), AlertDescription::UnknownCA);
    assert!(answered(&mut kept), "an open connection stays");

    for (failures, torn) in [(1, &bundle[..bundle.len() - 40]), (2, "")] {
        put(&file, torn);
        counted("failure", failures);
        assert!(is_answered(&new_client), "the last good one stays");
        assert_eq!(refusal(&server, &TLS13, Some(&old_client)), AlertDescription::UnknownCA);
    }
    put(&file, &old.certificate);
    counted("success", 3);
    assert!(is_answered(&old_client));
}

/// A server that accepts client certificates of the CAs in `file` with one of the names.
fn serve(authority: &Ca, file: &Path, names: &[&str]) -> Server {
    put(file, &authority.certificate);
    let callers = Callers::load(file.to_owned(), names.iter().map(ToString::to_string).collect()).unwrap();
    let config = Config { callers: Some(Arc::new(callers)), ..Config::default() };
    let servers = Ca::new("servers");
    let pair = servers.server(&["localhost"]);
    let files = Files { certificate: "certificate".into(), key: "key".into() };
    let pair = Pair::from_pem(pair.certificate.as_bytes(), pair.key.as_bytes(), &files).unwrap();
    Server::start_with(config, Certificates::new(pair), None, servers.certificate.into_bytes())
}

/// Replaces the file atomically, so that only a test that wants a partial file has one.
fn put(file: &Path, text: &str) {
    let new = file.with_extension("new");
    fs::write(&new, text).unwrap();
    fs::rename(new, file).unwrap();
}

fn in_minutes(minutes: i64) -> OffsetDateTime {
    OffsetDateTime::now_utc() + Duration::minutes(minutes)
}

/// Connects with this certificate, if any. With TLS 1.3, the server checks it only after the handshake of the client.
fn connect(server: &Server, version: &'static SupportedProtocolVersion, pair: Option<&Leaf>) -> io::Result<Client> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(&server.ca).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots);
    let config = match pair {
        None => config.with_no_client_auth(),
        Some(pair) => {
            let chain = CertificateDer::pem_slice_iter(pair.certificate.as_bytes()).map(Result::unwrap).collect();
            let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
            config.with_client_auth_cert(chain, key).unwrap()
        }
    };
    Client::connect_with(server.address, Arc::new(config))
}

/// The TLS alert in place of a response. It arrives even though the request was sent before it.
fn refusal(server: &Server, version: &'static SupportedProtocolVersion, pair: Option<&Leaf>) -> AlertDescription {
    let error = connect(server, version, pair)
        .and_then(|mut client| client.post("/validate", REVIEW))
        .expect_err("it is let in");
    match error.get_ref().and_then(|error| error.downcast_ref()) {
        Some(Error::AlertReceived(alert)) => *alert,
        _ => panic!("no alert: {error}"),
    }
}
