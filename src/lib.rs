//! Validating and defaulting admission webhook for the ClusterProfile API (`multicluster.x-k8s.io`, KEP-4322).
//!
//! ```text
//! bytes of an AdmissionReview
//!   └─ admission::respond
//!        ├─ request   one pass over the envelope and both objects ── BadRequest: nobody to answer
//!        ├─ rules::review(Change)        findings and fixes: overridden, ratcheted, audited
//!        └─ response  /mutate: a patch   /validate: causes and warnings ── always with the request's uid
//! ```
//!
//! The pure core ([`admission`], [`profile`], [`field`], [`rules`], [`settings`], [`units`]) has no async, files, sockets, clock or
//! environment: bytes in, verdict out. The shell serves it.
//!
//! | module | what it is |
//! |---|---|
//! | [`admission`] | `admission.k8s.io/v1` on the wire |
//! | [`profile`] | what rules read of a ClusterProfile, borrowed and tolerant |
//! | [`field`] | the path to a field |
//! | [`crd`] | the CustomResourceDefinition, from Rust types |
//! | [`crd_watch`] | what the API server refuses by the CRD in force, followed while serving |
//! | [`rules`] | the catalogue, and what it says of a change |
//! | [`settings`] | what an administrator chooses, and the file that says it |
//! | [`units`] | sizes and durations, as flags and that file write them |
//! | [`manifest`] | objects of manifests, and what the two webhooks would do to them |
//! | [`config_file`] | that file, read again while serving |
//! | [`server`] | both webhooks over HTTPS, probes and metrics over HTTP; its limits, its end |
//! | [`tls`] | the certificate pair, and who may call; how both are replaced while serving |
//! | [`access`] | the way to the API server |
//! | [`break_glass`] | asking it whether a user may break glass |
//! | [`certificates`] | self-managed certificates: an authority in a Secret, rotated without a failed call |
//! | [`metrics`] | what Prometheus is told |
//! | [`traces`] | what a collector of OpenTelemetry is told, if one is named |

pub mod admission;
pub mod certificates;
pub mod config;
pub mod config_file;
pub mod crd;
mod digest;
mod error;
pub mod field_path;
mod files;
#[doc(hidden)]
pub mod fuzzing;
mod json;
pub mod kube;
pub mod manifest;
pub mod metrics;
mod nearest;
pub mod profile;
pub mod redact;
pub mod review;
pub mod rules;
pub mod server;
mod syntax;
pub mod tls;
pub mod traces;
pub mod units;
mod yaml;
