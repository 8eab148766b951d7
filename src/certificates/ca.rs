//! A certificate authority: one certificate, the key to it, and what it signs.

use std::{fmt, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PublicKeyData as _,
};
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use time::OffsetDateTime;
use x509_parser::parse_x509_certificate;

use crate::tls::{Files, Pair, TlsError};

/// How long before it is made a certificate is valid already: by so much the clock of an API server may be behind.
///
/// It is what Kerberos lets clocks differ, and far more than those of a cluster that keeps time.
const SKEW: Duration = Duration::from_mins(5);

/// A certificate, and when it is valid.
#[derive(Clone, PartialEq)]
pub(super) struct Certificate {
    der: CertificateDer<'static>,
    not_before: Timestamp,
    not_after: Timestamp,
    /// When it was made, if that was done here.
    made: Timestamp,
}

/// Its certificate, and its key in PEM.
#[derive(Clone, PartialEq)]
pub(super) struct Ca {
    pub(super) certificate: Certificate,
    key: String,
}

impl Certificate {
    /// Of an authority, or none where it is no X.509 certificate of one.
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
        let mut text = String::from("-----BEGIN CERTIFICATE-----\n");
        let base64 = STANDARD.encode(&self.der);
        for (index, character) in base64.chars().enumerate() {
            if index > 0 && index % 64 == 0 {
                text.push('\n');
            }
            text.push(character);
        }
        text.push_str("\n-----END CERTIFICATE-----\n");
        text
    }

    /// What is signed says by it who has. Of an authority that somebody else has named, it may be a part of the name; then
    /// nobody trusts what is signed, and nobody serves it.
    fn name(&self) -> String {
        let parsed = parse_x509_certificate(&self.der);
        let name = parsed.as_ref().ok().and_then(|(_, parsed)| parsed.subject().iter_common_name().next());
        name.and_then(|name| name.as_str().ok()).unwrap_or_default().to_owned()
    }

    pub(super) fn not_after(&self) -> Timestamp {
        self.not_after
    }

    /// Whether it has expired. One that is not valid yet has not: then it is this clock that is behind.
    pub(super) fn has_ended(&self, now: Timestamp) -> bool {
        self.not_after < now
    }

    pub(super) fn is_valid(&self, now: Timestamp) -> bool {
        (self.not_before..=self.not_after).contains(&now)
    }

    /// When two thirds of its life have passed, which begins when it was made.
    pub(super) fn two_thirds(&self) -> Timestamp {
        self.made + self.lifetime() * 2 / 3
    }

    /// How long it is valid from when it was made.
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
    /// A new one, valid from now on.
    ///
    /// # Errors
    ///
    /// Where the crypto library fails.
    pub(super) fn make(now: Timestamp, lifetime: Duration) -> Result<Self, rcgen::Error> {
        // A name of its own: where two share one, those who verify may try the wrong key alone.
        let mut params = named(format!("clusterprofile-webhook authority of {now:.3}"));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.not_before = x509_time(now - SKEW);
        params.not_after = x509_time(now + lifetime);
        let key = KeyPair::generate()?;
        let der = params.self_signed(&key)?.der().clone();
        let certificate = Certificate::of_ca(der).expect("what was just made is an authority's");
        Ok(Self { certificate, key: key.serialize_pem() })
    }

    /// From PEM; or what is wrong, in words that follow the name.
    pub(super) fn from_pem(certificate: &[u8], key: &[u8]) -> Result<Self, &'static str> {
        let der = CertificateDer::from_pem_slice(certificate).map_err(|_| "its certificate is no PEM certificate")?;
        let key = std::str::from_utf8(key).ok().map(|key| (key, KeyPair::from_pem(key)));
        let Some((text, Ok(key))) = key else { return Err("its key is no PEM private key that can sign") };
        let is_pair = parse_x509_certificate(&der)
            .is_ok_and(|(_, parsed)| parsed.public_key().raw == key.subject_public_key_info());
        let certificate = Certificate::of_ca(der).ok_or("its certificate is none of an authority")?;
        if !is_pair {
            return Err("its certificate and key are no pair");
        }
        Ok(Self { certificate, key: text.to_owned() })
    }

    pub(super) fn key(&self) -> &str {
        &self.key
    }

    /// A pair for these names, whose key nobody else ever has. It ends no later than the authority does.
    ///
    /// # Errors
    ///
    /// [`TlsError`] where the crypto library fails.
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
        write!(f, "Authority({:?})", self.certificate)
    }
}

fn named(name: String) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

/// X.509 counts whole seconds.
fn x509_time(time: Timestamp) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(time.as_second()).expect("both count the same years")
}
