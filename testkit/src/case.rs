//! Case files: a write, and what is expected of it on every surface. CONTRIBUTING.md shows an example.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use clusterprofile_webhook::{
    review::{Effect, Policy},
    rules,
};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

/// A case file: one behavior of the webhooks.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Case {
    /// `DELETE`. By default CREATE, or UPDATE if `oldObject` is set.
    #[serde(default)]
    pub operation: Option<String>,
    #[serde(default)]
    pub part: Part,
    #[serde(default = "v1alpha1")]
    pub version: String,
    /// The kind in the request, if it is not `ClusterProfile`.
    #[serde(default)]
    pub kind: Option<String>,
    /// The time of the request. Over HTTPS it is the current time.
    #[serde(default = "new_year")]
    pub now: Timestamp,
    #[serde(default)]
    pub policy: PolicyOf,
    #[serde(default)]
    pub old_object: Option<Value>,
    pub object: Value,
    pub expect: Expect,
    /// Set if the CRD alone rejects the write.
    #[serde(default)]
    pub crd: Option<Crd>,
    /// Surfaces on which the outcome is different.
    #[serde(default)]
    pub surfaces: BTreeMap<Surface, Difference>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    #[default]
    Main,
    Status,
}

/// A way to run a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Surface {
    /// In process.
    Core,
    /// The HTTPS server, in this process.
    Https,
    /// The command `check`, which reviews main part and status together.
    Check,
    /// A real API server with the webhooks. It removes the status from a write of the main part before /validate.
    ApiServer,
    /// A real API server without webhooks.
    Crd,
}

/// A write that the API server rejects by the CRD, before it calls /validate.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Crd {
    /// A part of its message.
    pub rejects: String,
    /// The condition under which it accepts the write.
    #[serde(default)]
    pub unless: Option<Unless>,
    /// Whether it does not call /mutate either, because it cannot read the metadata.
    #[serde(default)]
    pub uncalled: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unless {
    /// /mutate fills in a value.
    Filled,
    /// The lists have keys. The API server then knows which items were stored before, and accepts those.
    Keyed,
    /// The lists have no keys, as in the CRDs that OCM and KubeFleet bundle.
    Unkeyed,
}

/// The configuration of a case.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PolicyOf {
    pub audit: bool,
    /// Effects by rule.
    pub effects: BTreeMap<String, String>,
}

/// The expected outcome of /mutate and of /validate after it. Lists are empty by default, and `allowed` is true.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Expect {
    /// The JSON Patch of /mutate. The value `$now` stands for the time of the request.
    #[serde(default)]
    pub patch: Vec<Value>,
    #[serde(default)]
    pub mutate_warnings: Vec<Warned>,
    /// The verdict of /validate on the patched object.
    #[serde(default = "yes")]
    pub allowed: bool,
    #[serde(default)]
    pub causes: Vec<Cause>,
    #[serde(default)]
    pub warnings: Vec<Warned>,
    /// The verdict of /validate on the object without the patch: /mutate has failed open.
    #[serde(default)]
    pub unpatched: Option<Verdict>,
    /// The full text of one cause or warning.
    #[serde(default)]
    pub text: Option<String>,
}

impl Expect {
    /// The verdict of /validate on the patched object.
    pub fn verdict(&self) -> Verdict {
        Verdict { allowed: self.allowed, causes: self.causes.clone(), warnings: self.warnings.clone() }
    }
}

/// What /validate decides.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Verdict {
    #[serde(default = "yes")]
    pub allowed: bool,
    #[serde(default)]
    pub causes: Vec<Cause>,
    #[serde(default)]
    pub warnings: Vec<Warned>,
}

/// A denied finding.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cause {
    pub rule: String,
    pub reason: String,
    pub field: String,
}

/// A finding that only warns.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Warned {
    pub rule: String,
    pub field: String,
}

/// The difference of a surface. Missing keys are as on the other surfaces.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Difference {
    /// The reason; never empty.
    pub why: String,
    /// Whether the case does not run there.
    #[serde(default)]
    pub skip: bool,
    #[serde(default)]
    pub allowed: Option<bool>,
    #[serde(default)]
    pub causes: Option<Vec<Cause>>,
    #[serde(default)]
    pub warnings: Option<Vec<Warned>>,
}

fn v1alpha1() -> String {
    "v1alpha1".into()
}

fn new_year() -> Timestamp {
    "2026-01-01T00:00:00Z".parse().expect("it is a time")
}

fn yes() -> bool {
    true
}

/// Reads every case file (`.yaml`) below `directory`. The name of a case is its path without the extension.
///
/// # Panics
///
/// Panics if a file is not a case.
pub fn all(directory: &Path) -> Vec<(String, Case)> {
    let named = |file: PathBuf| {
        let name = file.strip_prefix(directory).expect("it is below").with_extension("").display().to_string();
        (name, Case::read(&file))
    };
    files(directory).into_iter().map(named).collect()
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).expect("the case files are there") {
        let path = entry.expect("a directory is readable").path();
        if path.is_dir() {
            files.extend(self::files(&path));
        } else if path.extension().is_some_and(|extension| extension == "yaml") {
            files.push(path);
        }
    }
    files.sort();
    files
}

impl Case {
    /// Reads a case file. `metadata` and `spec` that it leaves out are those of a valid profile.
    ///
    /// # Panics
    ///
    /// Panics if the file is not a case, its first line is not a comment, or a difference has no reason.
    pub fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).expect("case files are readable");
        assert!(text.starts_with("# "), "{}: the first line must say why the case matters", path.display());
        let mut case: Self =
            serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        for difference in case.surfaces.values() {
            assert!(!difference.why.is_empty(), "{}: a difference must say why", path.display());
        }
        let api_version = format!("multicluster.x-k8s.io/{}", case.version);
        for object in case.old_object.iter_mut().chain([&mut case.object]) {
            let Value::Object(fields) = object else { continue };
            fields.insert("apiVersion".into(), json!(api_version));
            fields.insert("kind".into(), json!("ClusterProfile"));
            fields.entry("metadata").or_insert_with(
                || json!({"name": "spoke-1", "namespace": "fleet", "labels": {"x-k8s.io/cluster-manager": "ocm"}}),
            );
            fields
                .entry("spec")
                .or_insert_with(|| json!({"displayName": "Spoke 1", "clusterManager": {"name": "ocm"}}));
        }
        case
    }

    /// The warnings of /mutate if the API server will reject the write by the CRD: every finding, because /validate is
    /// not called. A write of the main part has no status, which the API server has removed.
    pub fn foreseen(&self, verdict: Verdict) -> Vec<Warned> {
        let Verdict { causes, warnings, .. } = verdict;
        let causes = causes.into_iter().map(|cause| Warned { rule: cause.rule, field: cause.field });
        let is_written = |warned: &Warned| self.part == Part::Status || !warned.field.starts_with("status");
        self.expect.mutate_warnings.iter().cloned().chain(causes.chain(warnings).filter(is_written)).collect()
    }

    /// The expected verdict on a surface: `verdict`, with the differences that the case has for the surface.
    pub fn on(&self, surface: Surface, verdict: Verdict) -> Verdict {
        let Some(Difference { allowed, causes, warnings, .. }) = self.surfaces.get(&surface).cloned() else {
            return verdict;
        };
        Verdict {
            allowed: allowed.unwrap_or(verdict.allowed),
            causes: causes.unwrap_or(verdict.causes),
            warnings: warnings.unwrap_or(verdict.warnings),
        }
    }

    /// The policy that the case configures.
    ///
    /// # Panics
    ///
    /// Panics if the case names an unknown rule or effect.
    pub fn policy(&self) -> Policy {
        let mut policy = Policy::default();
        policy.set_audit(self.policy.audit);
        for (rule, effect) in &self.policy.effects {
            let rule = rules::find(rule).unwrap_or_else(|| panic!("no rule {rule}"));
            policy.set(rule, effect.parse::<Effect>().expect("an effect"));
        }
        policy
    }

    /// The `AdmissionReview` that an API server would send for this case with `object` as the new object, as JSON.
    pub fn review(&self, object: &Value) -> Vec<u8> {
        let operation =
            self.operation.as_deref().unwrap_or(if self.old_object.is_some() { "UPDATE" } else { "CREATE" });
        let metadata = |field: &str| object.pointer(&format!("/metadata/{field}")).cloned();
        let kind = json!({"group": "multicluster.x-k8s.io", "version": self.version, "kind": self.kind.as_deref().unwrap_or("ClusterProfile")});
        let resource =
            json!({"group": "multicluster.x-k8s.io", "version": self.version, "resource": "clusterprofiles"});
        let mut request = json!({
            "uid": UID,
            "kind": kind,
            "resource": resource,
            "requestKind": kind,
            "requestResource": resource,
            "namespace": metadata("namespace").unwrap_or(json!("fleet")),
            "operation": operation,
            "userInfo": {"username": "admin", "groups": ["system:masters", "system:authenticated"]},
            "object": object,
            "oldObject": self.old_object,
            "dryRun": false,
            "options": {"kind": "UpdateOptions", "apiVersion": "meta.k8s.io/v1"},
        });
        if let Some(name) = metadata("name") {
            request["name"] = name;
        }
        if self.part == Part::Status {
            request["subResource"] = json!("status");
            request["requestSubResource"] = json!("status");
        }
        if operation == "DELETE" {
            request["oldObject"] = request["object"].take();
        }
        let review = json!({"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": request});
        serde_json::to_vec(&review).expect("a review is JSON")
    }
}

/// The uid of the request, which every response must have.
pub const UID: &str = "0c8a3b6e-0000-4000-8000-000000000000";
