//! A CA and a serving certificate made in memory, to try out the webhook.

use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};

use super::{Files, Pair, TlsError};

/// Names of the development certificate: loopback, and the Service of the manifests.
const NAMES: [&str; 7] = [
    "localhost",
    "127.0.0.1",
    "::1",
    "clusterprofile-webhook",
    "clusterprofile-webhook.clusterprofile-webhook",
    "clusterprofile-webhook.clusterprofile-webhook.svc",
    "clusterprofile-webhook.clusterprofile-webhook.svc.cluster.local",
];

/// Makes a CA and a serving certificate, and writes the CA certificate (PEM) to `ca`.
///
/// The CA key is dropped, so the CA never signs anything else. For development only.
///
/// # Errors
///
/// [`TlsError::Make`] if the crypto library fails, [`TlsError::Write`] if `ca` cannot be written.
pub fn dev_pair(ca: &Path) -> Result<Pair, TlsError> {
    let mut ca_params = CertificateParams::new(Vec::new())?;
    ca_params.distinguished_name.push(DnType::CommonName, "clusterprofile-webhook development CA");
    ca_params.not_after = in_a_year();
    ca_params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    ca_params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let ca_key = KeyPair::generate()?;
    let ca_certificate = ca_params.self_signed(&ca_key)?;
    let issuer = Issuer::new(ca_params, ca_key);

    let mut leaf = CertificateParams::new(NAMES.map(String::from))?;
    leaf.distinguished_name.push(DnType::CommonName, "clusterprofile-webhook");
    leaf.not_after = in_a_year();
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let key = KeyPair::generate()?;
    let certificate = leaf.signed_by(&key, &issuer)?;

    std::fs::write(ca, ca_certificate.pem()).map_err(|source| TlsError::Write { path: ca.to_owned(), source })?;
    let names = Files { certificate: "development certificate".into(), key: "development key".into() };
    Pair::from_pem(certificate.pem().as_bytes(), key.serialize_pem().as_bytes(), &names)
}

/// Long enough for any trial, and short enough that no client rejects the certificate for its lifetime.
fn in_a_year() -> time::OffsetDateTime {
    time::OffsetDateTime::now_utc() + time::Duration::days(365)
}
