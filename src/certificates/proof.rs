//! Proof that a denial is this installation's: each of its replicas can give it, and no other installation can.
//!
//! The leader sends a bad profile as a dry run, with a new nonce and the uid of the validating configuration that it wants to
//! arm. The replica that denies it adds an HMAC of both, by a key of the installation's Secret, as a warning. The API server
//! returns the warnings of all webhooks that it calls, but the denial of one: a denial by another installation is no proof,
//! and hides none.

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
    /// As long as what SHA-256 returns.
    const BYTES: usize = 32;

    /// # Errors
    ///
    /// Where the crypto library has no random numbers.
    pub(super) fn make() -> Result<Self, Unspecified> {
        let mut key = [0; Self::BYTES];
        rand::fill(&mut key)?;
        Ok(Self(key))
    }

    /// None where it is no such key.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The warning by which a probe is answered.
    fn proof(&self, probe: &Probe) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.0);
        // The key signs nothing else; if it ever does, the first words say what for.
        let signed = hmac::sign(&key, format!("arming probe\n{}\n{}", probe.uid, probe.nonce).as_bytes());
        format!("{PROOF}{}", hex(signed.as_ref()))
    }

    /// Whether one of these values of `Warning` headers proves that the probe was denied by this installation.
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

/// A probe of the validating configuration that has this uid.
///
/// # Errors
///
/// Where the crypto library has no random numbers.
pub(super) fn probe(namespace: &str, uid: &str) -> Result<Probe, Unspecified> {
    let mut nonce = [0; 16];
    rand::fill(&mut nonce)?;
    Ok(Probe { namespace: namespace.to_owned(), uid: uid.to_owned(), nonce: hex(&nonce) })
}

/// The other installations that have answered a probe, by the namespace and name of each.
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

/// What precedes the HMAC, in hexadecimal digits.
const PROOF: &str = "arming probe: proof ";

/// What precedes the name of an installation that was not asked.
const OTHER: &str = "arming probe: not denied for its sender, but for installation ";

/// Two names of Kubernetes and what separates them.
const LONGEST_NAME: usize = 253 + 1 + 253;

/// What answers the probes that a replica denies.
#[derive(Debug)]
pub struct Prover {
    namespace: String,
    /// The namespace and the name of the configurations.
    installation: String,
    known: ArcSwapOption<Known>,
}

/// As the API server has it.
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

    /// Answers with these from now on, and proves nothing where one is missing.
    pub(super) fn learn(&self, key: Option<&ProofKey>, uid: Option<&str>) {
        let known = key.zip(uid).map(|(key, uid)| Arc::new(Known { key: key.clone(), uid: uid.to_owned() }));
        self.known.store(known);
    }

    /// The warning that answers a probe which was denied: the proof for this installation's own, else whose denial it is.
    pub(crate) fn answer(&self, probe: &Probe) -> String {
        let known = self.known.load();
        let own = known.as_ref().filter(|known| probe.namespace == self.namespace && probe.uid == known.uid);
        own.map_or_else(|| format!("{OTHER}{}", self.installation), |known| known.key.proof(probe))
    }
}

/// What an installation is called.
pub(super) fn installation(namespace: &str, configuration: &str) -> String {
    format!("{namespace}/{configuration}")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes all that is written");
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
        assert!(!is_proof(&key, &prover), "it knows no key yet");
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
