//! Case files: what is written, and what is expected of it on every surface.

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

/// One behaviour.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Case {
    /// `DELETE`; else CREATE, or UPDATE where there is an old object.
    #[serde(default)]
    pub operation: Option<String>,
    #[serde(default)]
    pub part: Part,
    #[serde(default = "v1alpha1")]
    pub version: String,
    /// The kind of the request, where it is another.
    #[serde(default)]
    pub kind: Option<String>,
    #[serde(default = "new_year")]
    pub now: Timestamp,
    #[serde(default)]
    pub policy: PolicyOf,
    #[serde(default)]
    pub old_object: Option<Value>,
    pub object: Value,
    pub expect: Expect,
    /// What the CRD says to the write; none where it accepts it.
    #[serde(default)]
    pub crd: Option<Crd>,
    #[serde(default)]
    pub surfaces: BTreeMap<Surface, Difference>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Part {
    #[default]
    Main,
    Status,
}

/// Where a case runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Surface {
    /// In process.
    Core,
    /// A real HTTPS server.
    Https,
    /// The binary's `check`, which judges whole manifests.
    Check,
    /// A real API server that calls the webhooks. It drops the status of the main resource before /validate.
    ApiServer,
    /// A real API server without webhooks.
    Crd,
}

/// A write that the API server refuses by itself, before it calls /validate.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Crd {
    /// A part of what it says.
    pub rejects: String,
    /// What makes it accept the write.
    #[serde(default)]
    pub unless: Option<Unless>,
    /// Whether it calls no webhook before: it cannot read the metadata.
    #[serde(default)]
    pub uncalled: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Unless {
    /// What /mutate fills in.
    Filled,
    /// Lists with keys: by them the API server knows which items were stored before, and lets those pass.
    Keyed,
    /// Lists without keys, as the CRDs that OCM and KubeFleet bundle have them.
    Unkeyed,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct PolicyOf {
    pub audit: bool,
    pub effects: BTreeMap<String, String>,
}

/// The outcome of the two webhooks, one after the other.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Expect {
    /// Of /mutate. `$now` stands for the time of the request.
    #[serde(default)]
    pub patch: Vec<Value>,
    /// Warnings of /mutate.
    #[serde(default)]
    pub mutate_warnings: Vec<Warned>,
    /// Of /validate, shown the object after the patch.
    #[serde(default = "yes")]
    pub allowed: bool,
    #[serde(default)]
    pub causes: Vec<Cause>,
    #[serde(default)]
    pub warnings: Vec<Warned>,
    /// Of /validate, shown the object as it was written: /mutate had failed open.
    #[serde(default)]
    pub unpatched: Option<Verdict>,
    /// One cause or warning to the letter.
    #[serde(default)]
    pub text: Option<String>,
}

impl Expect {
    /// Of /validate, shown the object after the patch.
    pub(crate) fn verdict(&self) -> Verdict {
        Verdict { allowed: self.allowed, causes: self.causes.clone(), warnings: self.warnings.clone() }
    }
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Verdict {
    #[serde(default = "yes")]
    pub allowed: bool,
    #[serde(default)]
    pub causes: Vec<Cause>,
    #[serde(default)]
    pub warnings: Vec<Warned>,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Cause {
    pub rule: String,
    pub reason: String,
    pub field: String,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Warned {
    pub rule: String,
    pub field: String,
}

/// How a surface differs, and why.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Difference {
    pub why: String,
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

/// Every case below `directory`, with its name.
pub(crate) fn all(directory: &Path) -> Vec<(String, Case)> {
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
        } else {
            files.push(path);
        }
    }
    files.sort();
    files
}

impl Case {
    /// Reads a case file; metadata and spec that it leaves out are those of a sound profile.
    pub(crate) fn read(path: &Path) -> Self {
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

    /// What /mutate warns of where the API server refuses the write by itself: all that is found. The API server drops the
    /// status of the main resource.
    pub(crate) fn foreseen(&self, verdict: Verdict) -> Vec<Warned> {
        let Verdict { causes, warnings, .. } = verdict;
        let causes = causes.into_iter().map(|cause| Warned { rule: cause.rule, field: cause.field });
        let is_written = |warned: &Warned| self.part == Part::Status || !warned.field.starts_with("status");
        self.expect.mutate_warnings.iter().cloned().chain(causes.chain(warnings).filter(is_written)).collect()
    }

    /// What is expected on a surface, `verdict` unless the case says how the surface differs.
    pub(crate) fn on(&self, surface: Surface, verdict: Verdict) -> Verdict {
        let Some(Difference { allowed, causes, warnings, .. }) = self.surfaces.get(&surface).cloned() else {
            return verdict;
        };
        Verdict {
            allowed: allowed.unwrap_or(verdict.allowed),
            causes: causes.unwrap_or(verdict.causes),
            warnings: warnings.unwrap_or(verdict.warnings),
        }
    }

    pub(crate) fn policy(&self) -> Policy {
        let mut policy = Policy::default();
        policy.set_audit(self.policy.audit);
        for (rule, effect) in &self.policy.effects {
            let rule = rules::find(rule).unwrap_or_else(|| panic!("no rule {rule}"));
            policy.set(rule, effect.parse::<Effect>().expect("an effect"));
        }
        policy
    }

    /// The bytes that an API server would send, with `object` as the object.
    pub(crate) fn review(&self, object: &Value) -> Vec<u8> {
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

/// The request's, which every answer must bear.
pub(crate) const UID: &str = "0c8a3b6e-0000-4000-8000-000000000000";
