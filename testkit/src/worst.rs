//! Admission reviews that cost the most for their size: bodies that an attacker would send.
//!
//! Each shape can be made in any size. The cost of its review must be linear in the size.

use std::sync::Arc;

use clusterprofile_webhook::{
    crd,
    review::{CrdInForce, Effect, Phase, Policy},
    rules::RULES,
};
use serde_json::Value;

pub use self::shapes::SHAPES;

mod parts;
mod shapes;

/// A way to review a body.
pub struct Review {
    pub name: &'static str,
    pub phase: Phase,
    crd: Option<fn() -> Value>,
}

/// Each phase with every rule switched on, and /mutate with a known CRD, for which it also reports what /validate
/// would: a CRD whose lists have keys, and one whose lists have none.
pub const REVIEWS: &[Review] = &[
    Review { name: "mutate", phase: Phase::Mutate, crd: None },
    Review { name: "mutate, CRD", phase: Phase::Mutate, crd: Some(keyed) },
    Review { name: "mutate, OCM's", phase: Phase::Mutate, crd: Some(keyless) },
    Review { name: "validate", phase: Phase::Validate, crd: None },
];

impl Review {
    /// The policy of this review. Making it takes much longer than a review of a small body.
    pub fn policy(&self) -> Policy {
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

/// A kind of body, and how to generate it.
pub struct Shape {
    pub name: &'static str,
    make: Make,
}

enum Make {
    /// The lists of the new status. The stored profile has none.
    New(fn(usize) -> String),
    /// The same status, stored and new, each half of the size.
    Both(fn(usize) -> String),
    /// A stored status, and a new one with other values and as many mistakes.
    Changed(fn(usize) -> String, fn(usize) -> String),
    /// More metadata of the new object, in a write of the main part.
    Object(fn(usize) -> String),
    /// The new and the stored status, each half of the size, in a write of the main part.
    Main(fn(usize) -> String, fn(usize) -> String),
}

impl Shape {
    /// An `AdmissionReview` of a profile of `version`, with about `size` bytes.
    pub fn body(&self, version: &str, size: usize) -> Vec<u8> {
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
