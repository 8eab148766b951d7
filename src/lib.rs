//! Validating and defaulting admission webhook for the ClusterProfile API (`multicluster.x-k8s.io`, KEP-4322).
//!
//! ```text
//! bytes of an AdmissionReview
//!   └─ admission::respond
//!        ├─ request   one pass over the envelope and both objects ── BadRequest: nobody to answer
//!        ├─ review::review(RULES, Change)   findings and fixes: overridden, ratcheted, audited
//!        └─ response  /mutate: a patch   /validate: causes and warnings ── always with the request's uid
//! ```
//!
//! The pure core has no async, files, sockets, clock or environment: bytes in, verdict out. The shell serves it. Modules use
//! only what is below them; `tests/architecture.rs` holds both.
//!
//! | core | what it is |
//! |---|---|
//! | [`config`] | what an administrator chooses, and the file that says it |
//! | [`crd`] | the CustomResourceDefinition, from Rust types |
//! | [`manifest`] | objects of manifests, and what the two webhooks would do to them |
//! | [`admission`] | `admission.k8s.io/v1` on the wire |
//! | [`rules`] | the catalogue: every rule, in the file that its prefix names |
//! | [`review`] | the engine: runs rules on a change, and weighs what they find |
//! | [`field_path`] | the path to a field |
//! | [`redact`] | what must never be shown: secrets, invisible characters |
//! | `syntax` | grammars of names, times, URLs and base64 |
//! | [`profile`] | what rules read of a ClusterProfile, borrowed and tolerant |
//! | `json` | the reader of JSON |
//! | [`units`] | sizes and durations, as flags and the configuration file write them |
//!
//! | shell | what it is |
//! |---|---|
//! | [`server`] | both webhooks over HTTPS, probes and metrics over HTTP; its limits, its end |
//! | [`certificates`] | self-managed certificates: a CA in a Secret, rotated without a failed call |
//! | [`config_file`] | the configuration file, read again while serving |
//! | [`traces`] | spans for an OpenTelemetry collector, if one is named |
//! | [`tls`] | the certificate pair, and who may call; how both are replaced while serving |
//! | [`kube`] | the client of the API server, and what it is asked about users |
//! | [`metrics`] | what Prometheus scrapes |

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
pub mod profile;
pub mod redact;
pub mod review;
pub mod rules;
pub mod server;
mod suggest;
mod syntax;
pub mod tls;
pub mod traces;
pub mod units;
mod yaml;
