//! Checks manifests offline: sets the defaults of /mutate, then runs the validation of /validate.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

pub use self::read::{Document, ReadError, read};
use crate::{
    profile::{ClusterProfile, Field, GROUP, KIND, Version},
    redact::shown,
    review::{Change, Effect, Omitted, Part, Phase, Policy, Report, patch, review},
    rules::RULES,
};

mod budget;
mod json;
mod read;
mod scalar;
mod yaml;

/// The result for one object of a manifest.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Checked {
    /// `metadata.namespace`. Empty if absent, `…` if it may be a secret.
    pub namespace: String,
    /// `metadata.name`. Empty if absent, `…` if it may be a secret.
    pub name: String,
    /// Whether its namespace is exempt, so that no rule runs.
    pub exempt: bool,
    /// The defaults that /mutate would set.
    pub fixes: Vec<Fixed>,
    /// The findings of /validate with these defaults, in the order of the catalog.
    pub findings: Vec<Found>,
    /// The number of findings beyond the maximum that is reported.
    pub omitted: Omitted,
}

/// A default that /mutate would set.
#[derive(Debug, Serialize)]
pub struct Fixed {
    /// The rule that requires it.
    pub rule: &'static str,
    /// Field path.
    pub field: String,
    /// The value.
    pub value: String,
    /// The warning for the author, if the default repairs a mistake.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warning: Option<String>,
}

/// A finding of /validate.
#[derive(Debug, Serialize)]
pub struct Found {
    /// The rule.
    pub rule: &'static str,
    /// `deny` or `warn`.
    pub effect: &'static str,
    /// Field path.
    pub field: String,
    /// Cause type of apimachinery.
    pub reason: &'static str,
    /// The text of the cause.
    pub message: String,
}

impl Checked {
    /// Whether the write would be denied.
    #[must_use]
    pub fn is_denied(&self) -> bool {
        self.findings.iter().any(|finding| finding.effect == "deny")
    }

    /// Whether there are warnings.
    #[must_use]
    pub fn is_warned(&self) -> bool {
        self.findings.iter().any(|finding| finding.effect == "warn")
            || self.fixes.iter().any(|fix| fix.warning.is_some())
    }
}

/// The API version of a ClusterProfile. None for any other object, and for an unknown version.
#[must_use]
pub fn version(object: &Value) -> Option<Version> {
    let (group, version) = object.get("apiVersion")?.as_str()?.split_once('/')?;
    let is_profile = group == GROUP && object.get("kind")?.as_str()? == KIND;
    if is_profile { Version::parse(version) } else { None }
}

/// Checks `object` as if all of it, including the status, were written at `now` over `old`.
#[must_use]
pub fn check(object: &Value, version: Version, old: Option<&Value>, policy: &Policy, now: Timestamp) -> Checked {
    let mut checked = Checked {
        namespace: shown(&metadata(object, "namespace")).to_owned(),
        name: shown(&metadata(object, "name")).to_owned(),
        exempt: policy.exempts(&metadata(object, "namespace")),
        fixes: Vec::new(),
        findings: Vec::new(),
        omitted: Omitted::default(),
    };
    if checked.exempt {
        return checked;
    }
    let old = old.map(Value::to_string);
    let old = old.as_deref().and_then(profile);
    let run = |text: &str, phase: Phase, use_report: &mut dyn FnMut(&Report<'_>, &ClusterProfile<'_>)| {
        if let Some(new) = profile(text) {
            let change = Change::new(Part::Manifest, version, &new, old.as_ref(), now);
            let report = review(RULES, &change, phase, policy, &|| false).expect("no deadline stops it");
            use_report(&report, &new);
        }
    };
    let mut fixed = object.clone();
    run(&object.to_string(), Phase::Mutate, &mut |report, new| {
        checked.fixes = report.fixes.iter().map(fix).collect();
        if let Some(patch) = patch(&report.fixes, new) {
            json_patch::patch(&mut fixed, &patch).expect("a fix applies to its object");
        }
    });
    run(&fixed.to_string(), Phase::Validate, &mut |report, _| {
        checked.findings = findings(report);
        checked.omitted = report.omitted;
    });
    checked
}

/// A string field of the metadata. Empty if absent.
#[must_use]
pub fn metadata<'o>(object: &'o Value, field: &str) -> Cow<'o, str> {
    object.get("metadata").and_then(|metadata| metadata.get(field)?.as_str()).unwrap_or_default().into()
}

fn profile(text: &str) -> Option<ClusterProfile<'_>> {
    match ClusterProfile::parse(text).expect("a JSON value is written as valid JSON without duplicate fields") {
        Field::Set(profile) => Some(profile),
        Field::Absent | Field::Mistyped(_) => None,
    }
}

fn fix(fix: &crate::review::Fix<'_>) -> Fixed {
    Fixed {
        rule: fix.rule.name,
        field: fix.path.to_string(),
        value: shown(&fix.value).to_owned(),
        warning: fix.warning.as_deref().map(str::to_owned),
    }
}

fn findings(report: &Report<'_>) -> Vec<Found> {
    let findings = report.findings.iter().map(|finding| Found {
        rule: finding.rule.name,
        effect: if finding.effect == Effect::Deny { "deny" } else { "warn" },
        field: finding.path.to_string(),
        reason: finding.problem.reason(),
        message: finding.to_string(),
    });
    findings.collect()
}
