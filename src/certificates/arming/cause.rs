//! Why a webhook is not armed: what the API server answered to the probe, and how to fix it.

use std::fmt;

use crate::{
    certificates::{
        cluster::{Cluster, Live},
        proof,
    },
    redact::shown,
};

/// The answer to a probe that came without a proof.
#[derive(Debug, PartialEq)]
pub(super) enum Cause {
    /// The API server accepted the bad profile, without a warning of the rule that should deny it.
    Accepted,
    /// The webhook only warned.
    Warned,
    /// A webhook of this installation's names denied it, without a proof.
    Unproven { webhook: String },
    /// Another installation denied it.
    Elsewhere { installation: String, service: String },
    /// Another webhook denied it.
    Webhook { webhook: String, namespace: String, message: String },
    /// A `ValidatingAdmissionPolicy` denied it, so that no validating webhook was called.
    Policy { policy: String, namespace: String, message: String },
    /// The API server refused it for another reason.
    Other { message: String },
}

impl Cause {
    /// The cause of an accepted probe.
    pub(super) fn accepted(warnings: &[String]) -> Self {
        let is_warned = warnings.iter().any(|warning| warning.contains("[cluster-manager-label]"));
        if is_warned { Self::Warned } else { Self::Accepted }
    }

    /// The cause of a refusal without a proof.
    pub(super) fn of(cluster: &Cluster, live: &Live, message: String, warnings: &[String]) -> Self {
        let names: Vec<_> = live.webhooks.iter().map(|webhook| webhook.name.as_str()).collect();
        let (namespace, names_of) = (&cluster.namespace, &cluster.names);
        let own = proof::installation(namespace, &names_of.configuration);
        let service = proof::installation(namespace, &names_of.service);
        Self::read(&names, namespace, [&own, &service], message, warnings)
    }

    fn read(names: &[&str], namespace: &str, [own, service]: [&str; 2], message: String, warnings: &[String]) -> Self {
        let namespace = namespace.to_owned();
        // The message starts with the API server's own words; the rest may be any text.
        if let Some(webhook) = quoted(&message, "admission webhook \"", "\" denied the request") {
            let other = proof::others(warnings).into_iter().find(|other| *other != own);
            return match other {
                Some(other) => Self::Elsewhere { installation: other.to_owned(), service: service.to_owned() },
                None if names.contains(&webhook) => Self::Unproven { webhook: webhook.to_owned() },
                None => Self::Webhook { webhook: webhook.to_owned(), namespace, message },
            };
        }
        let after_prefix = message.split_once(" is forbidden: ").map(|(_, rest)| rest);
        match after_prefix.and_then(|rest| quoted(rest, "ValidatingAdmissionPolicy '", "' with binding ")) {
            Some(policy) => Self::Policy { policy: policy.to_owned(), namespace, message },
            None => Self::Other { message },
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accepted => f.write_str(
                "the API server accepted a bad profile without a warning: it cannot reach the webhook, the namespace is \
                 exempt, or rule cluster-manager-label is off",
            ),
            Self::Warned => f.write_str(
                "the webhook only warned about a bad profile: audit is on, or the effect of rule cluster-manager-label is \
                 warn",
            ),
            Self::Unproven { webhook } => write!(
                f,
                "webhook {} denied a bad profile without this installation's proof: either a replica of an older release \
                 answered, or another installation has webhooks of the same names",
                quote(webhook)
            ),
            Self::Elsewhere { installation, service } => write!(
                f,
                "installation {installation} denied a bad profile, this installation did not; check that the API server \
                 reaches Service {service}"
            ),
            Self::Webhook { webhook, namespace, message } => write!(
                f,
                "webhook {} denied a bad profile, this installation did not; exempt namespace {namespace} from that \
                 webhook: {}",
                quote(webhook),
                quote(message)
            ),
            Self::Policy { policy, namespace, message } => write!(
                f,
                "ValidatingAdmissionPolicy {} denied a bad profile, so no webhook was called; exempt namespace \
                 {namespace} from that policy: {}",
                quote(policy),
                quote(message)
            ),
            Self::Other { message } => write!(f, "the API server refused a bad profile: {}", quote(message)),
        }
    }
}

/// The text between `start` and `end`, if the text begins with `start`.
fn quoted<'t>(text: &'t str, start: &str, end: &str) -> Option<&'t str> {
    text.strip_prefix(start)?.split_once(end).map(|(found, _)| found)
}

/// Quotes, escapes and shortens a text that may come from another program.
fn quote(text: &str) -> String {
    const LONGEST: usize = 300;
    let text = shown(text);
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{:?}", format!("{}…", text.get(..end).unwrap_or_default())),
        None => format!("{text:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::Cause;
    use crate::certificates::proof::{Prover, probe};

    fn read(message: &str, warnings: &[String]) -> Cause {
        let names = ["validate.a.internal"];
        Cause::read(&names, "here", ["here/a", "here/service"], message.to_owned(), warnings)
    }

    #[test]
    fn a_refusal_without_proof_names_what_refused() {
        let cause_of = |message: &str| read(message, &[]).to_string();
        let own = cause_of(r#"admission webhook "validate.a.internal" denied the request: x"#);
        assert!(own.starts_with(r#"webhook "validate.a.internal" denied"#) && own.contains("older release"), "{own}");
        let other = cause_of(r#"admission webhook "other.example.com" denied the request: because"#);
        assert!(other.contains(r#"webhook "other.example.com" denied"#) && other.contains("because"), "{other}");
        // The policy's own message comes last, and may be any text.
        let policy = cause_of(
            "clusterprofiles.multicluster.x-k8s.io \"p\" is forbidden: ValidatingAdmissionPolicy 'p1' with binding 'b' \
             denied request: admission webhook \"validate.a.internal\" denied the request: x",
        );
        assert!(policy.starts_with(r#"ValidatingAdmissionPolicy "p1" denied"#), "{policy}");
        let forbidden = cause_of("User \"x\" cannot create resource\n\u{202e}");
        assert!(forbidden.contains("cannot create") && !forbidden.contains(['\n', '\u{202e}']), "{forbidden}");
        let long = cause_of(&"word ".repeat(2000));
        assert!(long.len() < 500, "{long}");
    }

    #[test]
    fn a_warning_about_the_accepted_probe_points_to_audit() {
        let warning = "299 - \"metadata.labels[x-k8s.io/cluster-manager]: Invalid value: … [cluster-manager-label]\"";
        assert_eq!(Cause::accepted(&[warning.to_owned()]), Cause::Warned);
        assert_eq!(Cause::accepted(&["299 - \"another webhook\"".to_owned()]), Cause::Accepted);
        assert!(Cause::Warned.to_string().contains("audit is on"));
    }

    #[test]
    fn another_installation_is_named_and_the_own_one_is_not() {
        let sent = probe("here", "3a").unwrap();
        let message = r#"admission webhook "validate.a.internal" denied the request: x"#;
        let [second, own] =
            [("second", "b"), ("here", "a")].map(|(namespace, name)| Prover::new(namespace, name).answer(&sent));
        let cause = read(message, &[own.clone(), second]);
        assert!(cause.to_string().contains("installation second/b denied"), "{cause}");
        assert!(cause.to_string().contains("Service here/service"), "{cause}");
        // The response of a replica that has not yet read the configuration.
        assert_eq!(read(message, &[own]), Cause::Unproven { webhook: "validate.a.internal".into() });
    }
}
