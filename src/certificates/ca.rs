//! A CA: its certificate and key, and the leaf certificates that it signs.

use std::{fmt, time::Duration};

use jiff::Timestamp;
use pem::{EncodeConfig, LineEnding, Pem};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PublicKeyData as _,
};
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use time::OffsetDateTime;
use x509_parser::parse_x509_certificate;

use crate::tls::{Files, Pair, TlsError};

/// How long before it was made a certificate is already valid, for API servers whose clock is behind.
///
/// Kerberos tolerates the same difference between clocks.
const SKEW: Duration = Duration::from_mins(5);

/// A certificate, and when it is valid.
#[derive(Clone, PartialEq)]
pub(super) struct Certificate {
    der: CertificateDer<'static>,
    not_before: Timestamp,
    not_after: Timestamp,
    /// When it was made, assuming that this webhook made it.
    made: Timestamp,
}

/// A CA certificate, and its key in PEM.
#[derive(Clone, PartialEq)]
pub(super) struct Ca {
    pub(super) certificate: Certificate,
    key: String,
}

impl Certificate {
    /// Reads a CA certificate. None if it is not X.509, or not the certificate of a CA.
    pub(super) fn of_ca(der: CertificateDer<'static>) -> Option<Self> {
        let (_, parsed) = parse_x509_certificate(&der).ok()?;
        let time = |time: x509_parser::time::ASN1Time| Timestamp::from_second(time.timestamp()).ok();
        let (not_before, not_after) = (time(parsed.validity().not_before)?, time(parsed.validity().not_after)?);
        let made = not_before.checked_add(SKEW).ok()?;
        parsed.is_ca().then_some(Self { der, not_before, not_after, made })
    }

    pub(super) fn der(&self) -> &CertificateDer<'static> {
        &self.der
    }

    pub(super) fn pem(&self) -> String {
        let lines = EncodeConfig::new().set_line_ending(LineEnding::LF);
        pem::encode_config(&Pem::new("CERTIFICATE", self.der.to_vec()), lines)
    }

    /// The common name of the CA, used as the issuer of leaf certificates.
    ///
    /// For a CA that another tool made this may be only part of its subject. Such leaf certificates do not verify, so no
    /// replica serves them.
    fn name(&self) -> String {
        let parsed = parse_x509_certificate(&self.der);
        let name = parsed.as_ref().ok().and_then(|(_, parsed)| parsed.subject().iter_common_name().next());
        name.and_then(|name| name.as_str().ok()).unwrap_or_default().to_owned()
    }

    pub(super) fn not_after(&self) -> Timestamp {
        self.not_after
    }

    /// Whether it has expired. If it is not valid yet, this clock is behind, and it counts as valid.
    pub(super) fn has_ended(&self, now: Timestamp) -> bool {
        self.not_after < now
    }

    pub(super) fn is_valid(&self, now: Timestamp) -> bool {
        (self.not_before..=self.not_after).contains(&now)
    }

    /// When two thirds of its lifetime have passed since it was made.
    pub(super) fn two_thirds(&self) -> Timestamp {
        self.made + self.lifetime() * 2 / 3
    }

    /// From when it was made until it expires.
    pub(super) fn lifetime(&self) -> Duration {
        Duration::try_from(self.not_after.duration_since(self.made)).unwrap_or_default()
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Certificate(until {})", self.not_after)
    }
}

impl Ca {
    /// Makes a new CA, valid from now on.
    ///
    /// # Errors
    ///
    /// If the crypto library fails.
    pub(super) fn make(now: Timestamp, lifetime: Duration) -> Result<Self, rcgen::Error> {
        // A unique name: if two CAs share one, a verifier may try only the wrong key.
        let mut params = named(format!("clusterprofile-webhook CA of {now:.3}"));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.not_before = x509_time(now - SKEW);
        params.not_after = x509_time(now + lifetime);
        let key = KeyPair::generate()?;
        let der = params.self_signed(&key)?.der().clone();
        let certificate = Certificate::of_ca(der).expect("the certificate was made as that of a CA");
        Ok(Self { certificate, key: key.serialize_pem() })
    }

    /// Reads a CA from PEM.
    ///
    /// # Errors
    ///
    /// What is wrong, as a clause to follow the name of the CA.
    pub(super) fn from_pem(certificate: &[u8], key: &[u8]) -> Result<Self, &'static str> {
        let der =
            CertificateDer::from_pem_slice(certificate).map_err(|_| "the certificate is not a PEM certificate")?;
        let key = std::str::from_utf8(key).ok().map(|key| (key, KeyPair::from_pem(key)));
        let Some((text, Ok(key))) = key else { return Err("the key is not a PEM private key that can sign") };
        let is_pair = parse_x509_certificate(&der)
            .is_ok_and(|(_, parsed)| parsed.public_key().raw == key.subject_public_key_info());
        let certificate = Certificate::of_ca(der).ok_or("the certificate is not a CA certificate")?;
        if !is_pair {
            return Err("the certificate and the key do not match");
        }
        Ok(Self { certificate, key: text.to_owned() })
    }

    pub(super) fn key(&self) -> &str {
        &self.key
    }

    /// Signs a leaf certificate for these DNS names, with a new key. It expires no later than the CA.
    ///
    /// # Errors
    ///
    /// [`TlsError`] if the crypto library fails.
    pub(super) fn sign(&self, names: &[String], now: Timestamp, lifetime: Duration) -> Result<Pair, TlsError> {
        let issuer = Issuer::new(named(self.certificate.name()), KeyPair::from_pem(&self.key)?);
        let mut params = CertificateParams::new(names)?;
        let name = names.first().cloned().unwrap_or_default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        params.not_before = x509_time(now - SKEW);
        params.not_after = x509_time((now + lifetime).min(self.certificate.not_after));
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &issuer)?;
        let files = Files { certificate: "signed certificate".into(), key: "its key".into() };
        Pair::from_pem(certificate.pem().as_bytes(), key.serialize_pem().as_bytes(), &files)
    }
}

impl fmt::Debug for Ca {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ca({:?})", self.certificate)
    }
}

fn named(name: String) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

/// X.509 has whole seconds.
fn x509_time(time: Timestamp) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(time.as_second()).expect("both types have the same range of years")
}
