//! The content of the Secret: the CAs of a webhook, each in its role in a rotation.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{
    bundle::Bundle,
    ca::{Ca, Certificate},
    proof::ProofKey,
};

/// The data of a Secret, decoded.
pub(super) type Data = BTreeMap<String, Vec<u8>>;

/// All CAs that API servers must trust, and the proof key.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct State {
    /// The CA that signs leaf certificates now.
    pub(super) current: Option<Ca>,
    /// The CA that signs after the next promotion.
    pub(super) next: Option<Next>,
    /// CAs that no longer sign, but whose leaf certificates may still be served.
    pub(super) old: Vec<Old>,
    /// Proves to the leader that a denial came from this installation.
    pub(super) proof_key: Option<ProofKey>,
}

/// A CA that does not sign yet.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Next {
    pub(super) ca: Ca,
    /// Since when every live configuration has trusted it. None while one does not.
    pub(super) trusted_since: Option<Timestamp>,
}

/// A CA that no longer signs.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Old {
    pub(super) certificate: Certificate,
    /// When the last certificate that it signed expires.
    pub(super) until: Timestamp,
}

// The keys of the Secret. All hold PEM, except where noted.
const CURRENT: [&str; 2] = ["ca.crt", "ca.key"];
const NEXT: [&str; 2] = ["next.crt", "next.key"];
/// RFC 3339.
const NEXT_TRUSTED_SINCE: &str = "next.trusted-since";
const OLD: &str = "old.crt";
/// One RFC 3339 time per line, for each certificate of `old.crt`.
const OLD_UNTIL: &str = "old.until";
/// Random bytes.
const PROOF_KEY: &str = "proof.key";

impl State {
    /// Reads what can be used, and returns one line for each part that cannot.
    ///
    /// An unusable part counts as absent, so it is replaced as if it had been lost.
    pub(super) fn read(data: &Data) -> (Self, Vec<String>) {
        let mut unusable = Vec::new();
        let mut ca = |[certificate, key]: [&str; 2]| {
            let [certificate_pem, key_pem] =
                [certificate, key].map(|name| data.get(name).filter(|pem| !pem.is_empty()));
            let read = match (certificate_pem, key_pem) {
                (None, None) => return None,
                (Some(certificate), Some(key)) => Ca::from_pem(certificate, key),
                _ => Err("one of the two is missing"),
            };
            read.map_err(|cause| unusable.push(format!("{certificate} and {key}: {cause}"))).ok()
        };
        let (current, next) = (ca(CURRENT), ca(NEXT));
        let trusted_since = time(data.get(NEXT_TRUSTED_SINCE).map(Vec::as_slice));
        let next = next.map(|ca| Next { ca, trusted_since });
        let old = Bundle::parse(data.get(OLD).map(Vec::as_slice).unwrap_or_default()).0;
        let mut until = data.get(OLD_UNTIL).map(Vec::as_slice).unwrap_or_default().split(|byte| *byte == b'\n');
        let old = old.into_iter().map(|certificate| {
            // If the time is missing or unreadable, use the latest possible one.
            let until = time(until.next()).unwrap_or(certificate.not_after());
            Old { certificate, until }
        });
        let old = old.collect();
        let proof_key = data.get(PROOF_KEY).and_then(|bytes| {
            let key = ProofKey::read(bytes);
            if key.is_none() {
                unusable.push(format!("{PROOF_KEY} is not a valid key; making a new one"));
            }
            key
        });
        (Self { current, next, old, proof_key }, unusable)
    }

    pub(super) fn write(&self) -> Data {
        let mut data = Data::new();
        let mut put = |name: &str, text: String| data.insert(name.to_owned(), text.into_bytes());
        let next = self.next.as_ref().map(|next| &next.ca);
        for ([certificate, key], ca) in [(CURRENT, self.current.as_ref()), (NEXT, next)] {
            if let Some(ca) = ca {
                put(certificate, ca.certificate.pem());
                put(key, ca.key().to_owned());
            }
        }
        if let Some(since) = self.next.as_ref().and_then(|next| next.trusted_since) {
            put(NEXT_TRUSTED_SINCE, since.to_string());
        }
        if !self.old.is_empty() {
            put(OLD, self.old.iter().map(|old| old.certificate.pem()).collect());
            put(OLD_UNTIL, self.old.iter().map(|old| old.until.to_string()).collect::<Vec<_>>().join("\n"));
        }
        if let Some(key) = &self.proof_key {
            data.insert(PROOF_KEY.to_owned(), key.bytes().to_vec());
        }
        data
    }

    /// The bundle that every live configuration must have.
    pub(super) fn bundle(&self) -> Bundle {
        let signing = self.current.iter().chain(self.next.as_ref().map(|next| &next.ca));
        let signing = signing.map(|ca| &ca.certificate);
        Bundle(signing.chain(self.old.iter().map(|old| &old.certificate)).cloned().collect())
    }
}

fn time(text: Option<&[u8]>) -> Option<Timestamp> {
    std::str::from_utf8(text?).ok()?.trim().parse().ok()
}
