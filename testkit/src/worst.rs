//! Admission reviews that cost the most for their size: the bodies that an attacker sends.
//!
//! Each shape is filled up to any size. What a rule does with one of them must be linear in it.

use std::sync::Arc;

use clusterprofile_webhook::{
    crd,
    review::{CrdInForce, Effect, Phase, Policy},
    rules::RULES,
};
use serde_json::Value;

pub(crate) use self::shapes::SHAPES;

#[path = "worst/parts.rs"]
mod parts;
#[path = "worst/shapes.rs"]
mod shapes;

/// A way in which a body is reviewed.
pub(crate) struct Review {
    pub name: &'static str,
    pub phase: Phase,
    crd: Option<fn() -> Value>,
}

/// Each phase with every rule switched on, and /mutate where it speaks for /validate, by a CRD whose lists have keys and by one
/// whose lists have none.
pub(crate) const REVIEWS: &[Review] = &[
    Review { name: "mutate", phase: Phase::Mutate, crd: None },
    Review { name: "mutate, CRD", phase: Phase::Mutate, crd: Some(keyed) },
    Review { name: "mutate, OCM's", phase: Phase::Mutate, crd: Some(keyless) },
    Review { name: "validate", phase: Phase::Validate, crd: None },
];

impl Review {
    pub(crate) fn policy(&self) -> Policy {
        let mut policy = Policy::default();
        policy.set_break_glass(true);
        RULES.iter().filter(|rule| rule.effect == Effect::Off).for_each(|rule| policy.set(rule, Effect::Deny));
        let read = |definition: fn() -> Value| CrdInForce::read(definition()).expect("it is a definition");
        policy.set_crd(self.crd.map(read).map(Arc::new));
        policy
    }
}

fn keyed() -> Value {
    serde_json::to_value(crd::crd()).expect("a definition is JSON")
}

fn keyless() -> Value {
    serde_saphyr::from_str(include_str!("../../tests/data/crd-bundled-with-ocm.yaml")).expect("it is YAML")
}

/// The name of a shape, and what makes a body of about so many bytes of it.
pub(crate) struct Shape {
    pub name: &'static str,
    make: Make,
}

enum Make {
    /// The lists of the new status, nothing being stored but an empty profile.
    New(fn(usize) -> String),
    /// The same status stored and new, half of the size each.
    Both(fn(usize) -> String),
    /// Stored, and a new status that shares nothing with it but is as wrong.
    Changed(fn(usize) -> String, fn(usize) -> String),
    /// More metadata of the object, on the main resource.
    Object(fn(usize) -> String),
    /// The new and the stored status, half of the size each, on the main resource.
    Main(fn(usize) -> String, fn(usize) -> String),
}

impl Shape {
    /// A review of `version` with about `size` bytes.
    pub(crate) fn body(&self, version: &str, size: usize) -> Vec<u8> {
        let status = |status: String| profile(version, "", &status);
        let empty = || profile(version, "", "{}");
        let (part, new, old) = match self.make {
            Make::New(make) => ("status", status(make(size)), empty()),
            Make::Both(make) => ("status", status(make(size / 2)), status(make(size / 2))),
            Make::Changed(make, other) => ("status", status(make(size / 2)), status(other(size / 2))),
            Make::Main(make, other) => ("", status(make(size / 2)), status(other(size / 2))),
            Make::Object(make) => ("", profile(version, &make(size), "{}"), empty()),
        };
        let kind = format!(r#"{{"group":"multicluster.x-k8s.io","version":"{version}","kind":"ClusterProfile"}}"#);
        let request = format!(
            r#"{{"uid":"u","kind":{kind},"subResource":"{part}","name":"p","namespace":"fleet","operation":"UPDATE","userInfo":{{"username":"u"}},"object":{new},"oldObject":{old}}}"#
        );
        format!(r#"{{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{request}}}"#).into_bytes()
    }
}

fn profile(version: &str, more: &str, status: &str) -> String {
    let labels = r#"{"x-k8s.io/cluster-manager":"ocm"}"#;
    let metadata = format!(r#"{{"name":"p","namespace":"fleet","resourceVersion":"7","labels":{labels}{more}}}"#);
    let spec = r#"{"displayName":"p","clusterManager":{"name":"ocm"}}"#;
    format!(
        r#"{{"apiVersion":"multicluster.x-k8s.io/{version}","kind":"ClusterProfile","metadata":{metadata},"spec":{spec},"status":{status}}}"#
    )
}
