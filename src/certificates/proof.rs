//! Proof that a denial came from this installation. Each of its replicas can give it; no other installation can.
//!
//! The leader sends a bad profile as a dry run, with a new nonce and the uid of the validating configuration to be armed. The
//! replica that denies it adds a warning: an HMAC of both, by a key from the installation's Secret. The API server returns the
//! denial of one webhook but the warnings of all, so a denial by another installation is no proof and hides none.

use std::{
    fmt::{self, Write as _},
    sync::Arc,
};

use arc_swap::ArcSwapOption;
use aws_lc_rs::{error::Unspecified, hmac, rand};

use crate::admission::Probe;

/// The key of an installation.
#[derive(Clone, PartialEq)]
pub(super) struct ProofKey([u8; ProofKey::BYTES]);

impl ProofKey {
    /// The output length of SHA-256.
    const BYTES: usize = 32;

    /// # Errors
    ///
    /// If the crypto library cannot generate random numbers.
    pub(super) fn make() -> Result<Self, Unspecified> {
        let mut key = [0; Self::BYTES];
        rand::fill(&mut key)?;
        Ok(Self(key))
    }

    /// None if the length is wrong.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The warning that proves the denial of this probe.
    fn proof(&self, probe: &Probe) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.0);
        // The prefix separates this use of the key from any later one.
        let signed = hmac::sign(&key, format!("arming probe\n{}\n{}", probe.uid, probe.nonce).as_bytes());
        format!("{PROOF}{}", hex(signed.as_ref()))
    }

    /// Whether one of these `Warning` header values proves that this installation denied the probe.
    pub(super) fn is_proven(&self, probe: &Probe, warnings: &[String]) -> bool {
        let proof = self.proof(probe);
        warnings.iter().any(|warning| warning.contains(&proof))
    }
}

impl fmt::Debug for ProofKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProofKey")
    }
}

/// A probe for the validating configuration with this uid.
///
/// # Errors
///
/// If the crypto library cannot generate random numbers.
pub(super) fn probe(namespace: &str, uid: &str) -> Result<Probe, Unspecified> {
    let mut nonce = [0; 16];
    rand::fill(&mut nonce)?;
    Ok(Probe { namespace: namespace.to_owned(), uid: uid.to_owned(), nonce: hex(&nonce) })
}

/// The other installations that answered a probe, as namespace/name.
pub(super) fn others(warnings: &[String]) -> Vec<&str> {
    let name = |text: &'_ str| {
        let is_plain = |character: char| character.is_ascii_alphanumeric() || matches!(character, '-' | '.' | '/');
        text.find(|character| !is_plain(character)).unwrap_or(text.len()).min(LONGEST_NAME)
    };
    let others = warnings.iter().filter_map(|warning| {
        let (_, text) = warning.split_once(OTHER)?;
        text.get(..name(text)).filter(|name| !name.is_empty())
    });
    others.collect()
}

/// Precedes the HMAC, which is in hexadecimal digits.
const PROOF: &str = "arming probe: proof ";

/// Precedes the name of another installation that denied the probe.
const OTHER: &str = "arming probe: not denied for its sender, but for installation ";

/// Two Kubernetes names and a slash.
const LONGEST_NAME: usize = 253 + 1 + 253;

/// Answers the arming probes that this replica denies.
#[derive(Debug)]
pub struct Prover {
    namespace: String,
    /// Namespace and name of the webhook configurations.
    installation: String,
    known: ArcSwapOption<Known>,
}

/// What the API server holds, as last read.
#[derive(Debug)]
struct Known {
    key: ProofKey,
    /// Of the validating configuration.
    uid: String,
}

impl Prover {
    pub(super) fn new(namespace: &str, configuration: &str) -> Self {
        Self {
            namespace: namespace.to_owned(),
            installation: installation(namespace, configuration),
            known: ArcSwapOption::empty(),
        }
    }

    /// Sets the key and uid to answer with. Without both, no proof is given.
    pub(super) fn learn(&self, key: Option<&ProofKey>, uid: Option<&str>) {
        let known = key.zip(uid).map(|(key, uid)| Arc::new(Known { key: key.clone(), uid: uid.to_owned() }));
        self.known.store(known);
    }

    /// The warning for a denied probe: the proof for the own installation's probe, or else this installation's name.
    pub(crate) fn answer(&self, probe: &Probe) -> String {
        let known = self.known.load();
        let own = known.as_ref().filter(|known| probe.namespace == self.namespace && probe.uid == known.uid);
        own.map_or_else(|| format!("{OTHER}{}", self.installation), |known| known.key.proof(probe))
    }
}

/// The name of an installation.
pub(super) fn installation(namespace: &str, configuration: &str) -> String {
    format!("{namespace}/{configuration}")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a string cannot fail");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::{ProofKey, Prover, others, probe};

    #[test]
    fn only_the_key_of_the_installation_proves_only_the_probe_that_was_sent() {
        let [key, other] = [(); 2].map(|()| ProofKey::make().unwrap());
        let sent = probe("here", "3a-1").unwrap();
        let prover = Prover::new("here", "a");
        let is_proof =
            |key: &ProofKey, prover: &Prover| key.is_proven(&sent, &[format!("299 - \"{}\"", prover.answer(&sent))]);
        assert!(!is_proof(&key, &prover), "no key is known yet");
        prover.learn(Some(&key), Some("3a-1"));
        assert!(is_proof(&key, &prover));
        assert!(!is_proof(&other, &prover), "another installation's key");
        let again = probe("here", "3a-1").unwrap();
        assert!(!key.is_proven(&sent, &[prover.answer(&again)]), "the answer to another probe");

        // A copy of the Secret is no proof either: each configuration has a uid of its own.
        prover.learn(Some(&key), Some("3a-2"));
        assert!(!is_proof(&key, &prover));
        let elsewhere = Prover::new("elsewhere", "a");
        elsewhere.learn(Some(&key), Some("3a-1"));
        assert!(!is_proof(&key, &elsewhere));
        prover.learn(Some(&key), None);
        assert!(!is_proof(&key, &prover));
    }

    #[test]
    fn a_replica_of_another_installation_says_which() {
        let sent = probe("here", "3a-1").unwrap();
        let answer = format!("299 - \"{}\"", Prover::new("second", "b.c-d").answer(&sent));
        assert_eq!(others(&[answer, "299 - \"none\"".into()]), ["second/b.c-d"]);
        let hostile = format!("{} \u{202e}\n", Prover::new("a", "b").answer(&sent));
        assert_eq!(others(&[hostile]), ["a/b"]);
        assert_eq!(others(&[super::OTHER.into()]), [""; 0]);
    }

    #[test]
    fn keys_are_random_and_not_shown() {
        let [a, b] = [(); 2].map(|()| ProofKey::make().unwrap());
        assert!(a != b && ProofKey::read(a.bytes()) == Some(a.clone()));
        assert_eq!(ProofKey::read(b"short"), None);
        assert_eq!(format!("{a:?}"), "ProofKey");
    }
}
