//! Validating and defaulting admission webhook for the ClusterProfile API (`multicluster.x-k8s.io`, KEP-4322).
//!
//! ```text
//! bytes of an AdmissionReview
//!   └─ admission::respond
//!        ├─ request   one pass over the envelope and both objects ── BadRequest: there is no `AdmissionReview` to answer with
//!        ├─ review::review(RULES, Change)   fixes, and findings weighed by override, ratchet and audit
//!        └─ response  /mutate: a patch   /validate: causes and warnings ── both have the request's uid
//! ```
//!
//! The pure core maps bytes to a response, and uses no async, files, sockets, clock or environment. The shell calls the core and
//! serves its responses. `tests/docs/architecture.rs` enforces that the core is pure, and that modules use only modules below
//! them; [`metrics`] is above the modules whose metrics it registers.
//!
//! | core | what it is |
//! |---|---|
//! | [`config`] | the settings of an administrator, and the format of the configuration file |
//! | [`crd`] | the CustomResourceDefinition, from Rust types |
//! | [`manifest`] | the offline check of manifests |
//! | [`admission`] | `admission.k8s.io/v1` on the wire |
//! | [`rules`] | the catalog: every rule, in the file that its prefix names |
//! | [`review`] | the engine: runs rules on a change, and weighs what they find |
//! | [`field_path`] | the path to a field |
//! | [`redact`] | hides secrets, and escapes invisible characters |
//! | `syntax` | grammars of names, times, URLs and base64 |
//! | [`profile`] | what rules read of a ClusterProfile, borrowed and tolerant |
//! | `json` | the reader of JSON |
//! | [`units`] | sizes and durations, as flags and the configuration file have them |
//!
//! | shell | what it is |
//! |---|---|
//! | [`server`] | both webhooks over HTTPS, probes and metrics over HTTP, limits and graceful shutdown |
//! | [`certificates`] | self-managed certificates: a CA in a Secret, rotated without a failed call |
//! | [`config_file`] | loads and reloads the configuration file |
//! | [`traces`] | spans for an OpenTelemetry collector |
//! | [`tls`] | the serving certificate, client certificates, and the reload of both |
//! | [`kube`] | the client of the API server, and permission checks with it |
//! | [`metrics`] | metrics for Prometheus |
//! | [`error`] | error messages with their causes |

pub mod admission;
pub mod certificates;
pub mod config;
pub mod config_file;
pub mod crd;
mod digest;
pub mod error;
pub mod field_path;
pub mod files;
#[doc(hidden)]
pub mod fuzzing;
mod json;
pub mod kube;
pub mod manifest;
pub mod metrics;
pub mod profile;
mod random;
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
