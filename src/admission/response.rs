//! Writes the response of an admission review.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Status, StatusCause, StatusDetails};
use serde::Serialize;

use super::{
    break_glass::{self, BreakGlass, Claim, Decision},
    probe::Probe,
    request::Request,
};
use crate::{
    profile::{ClusterProfile, GROUP, KIND},
    redact::{self, shown},
    review::{Effect, FIXES, Phase, Report, patch},
    rules::RULES,
};

/// The response to an admission review, and what the log and the metrics say of it.
#[derive(Clone, Debug)]
pub struct Response {
    /// The request's.
    pub uid: String,
    /// `CREATE`, `UPDATE`, `DELETE` or `CONNECT`; empty where the request could not be read.
    pub operation: &'static str,
    /// The object's; empty where the request has none, `…` where it may be a secret.
    pub namespace: String,
    /// The object's; empty before the API server has made one from `generateName`.
    pub name: String,
    /// `main` or `status`; empty where nothing was reviewed.
    pub part: &'static str,
    /// Whether the write may go on.
    pub allowed: bool,
    /// Whether its namespace is exempt, so that no rule ran.
    pub exempt: bool,
    /// The rules that denied, warned or filled something in, in catalog order.
    pub rules: Vec<&'static str>,
    /// The rules that only warned because the write changes the cluster's health.
    pub passed_for_health: Vec<&'static str>,
    /// The outcome of break-glass, where a write that rules deny claimed it.
    pub break_glass: Option<BreakGlass>,
    /// The permission check that is due before a denial is final.
    pub claim: Option<Box<Claim>>,
    /// The probe that this denial answers.
    pub probe: Option<Probe>,
    /// JSON of an `AdmissionReview` of `admission.k8s.io/v1`.
    pub body: Vec<u8>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Envelope<'a> {
    api_version: &'static str,
    kind: &'static str,
    response: Wire<'a>,
}

/// `AdmissionResponse`; kube's own writes the patch as an array of numbers, not in base64.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Wire<'a> {
    uid: &'a str,
    allowed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Status>,
    #[serde(skip_serializing_if = "Option::is_none")]
    patch_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    patch: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    audit_annotations: BTreeMap<&'static str, String>,
}

/// Allows without a review.
pub(super) fn allow(request: &Request<'_>) -> Response {
    write(request, Vec::new(), Wire::new(request, true))
}

/// Allows a write in an exempt namespace; the audit log says so.
pub(super) fn exempt(request: &Request<'_>) -> Response {
    let annotation = ("exempt-namespace", request.namespace.to_string());
    let wire = Wire { audit_annotations: [annotation].into(), ..Wire::new(request, true) };
    Response { exempt: true, ..write(request, Vec::new(), wire) }
}

/// Refuses an object that cannot be read.
pub(super) fn refuse(request: &Request<'_>, cause: &str) -> Response {
    let status = Status {
        status: Some("Failure".into()),
        code: Some(400),
        reason: Some("BadRequest".into()),
        message: Some(cause.to_owned()),
        ..Status::default()
    };
    write(request, Vec::new(), Wire { status: Some(status), ..Wire::new(request, false) })
}

/// Answers with what a review found.
pub(super) fn answer(
    request: &Request<'_>,
    phase: Phase,
    report: &Report<'_>,
    new: &ClusterProfile<'_>,
    decision: Option<&Decision<'_>>,
) -> Response {
    let fixes = report.fixes.iter().map(|fix| fix.rule.name);
    let mut fired: Vec<_> = fixes.chain(report.findings.iter().map(|finding| finding.rule.name)).collect();
    fired.dedup();
    let rules: Vec<_> = RULES.iter().map(|rule| rule.name).filter(|name| fired.contains(name)).collect();
    let denied = phase == Phase::Validate && report.denies();
    let patch = patch(&report.fixes, new)
        .map(|patch| STANDARD.encode(serde_json::to_vec(&patch).expect("a patch is always valid JSON")));
    let is_too_much = report.too_many_fixes || patch.as_ref().is_some_and(|patch| patch.len() > PATCH);
    let patch = patch.filter(|_| !is_too_much);
    let mut audit_annotations = BTreeMap::new();
    if !rules.is_empty() {
        audit_annotations.insert("rules", rules.join(","));
    }
    let passed_for_health = if denied { Vec::new() } else { report.passed_for_health.clone() };
    if !passed_for_health.is_empty() {
        audit_annotations.insert("passed-for-health", passed_for_health.join(","));
    }
    let break_glass = decision.map(Decision::outcome);
    if let Some(outcome) = break_glass {
        audit_annotations.insert("break-glass", outcome.name().to_owned());
    }
    if let Some(Decision::Honoured(set_aside)) = decision {
        audit_annotations.insert("set-aside", set_aside.join(","));
    }
    let wire = Wire {
        status: denied.then(|| invalid(request, report, decision)),
        patch_type: patch.is_some().then_some("JSONPatch"),
        patch,
        warnings: warnings(report, denied, is_too_much, decision),
        audit_annotations,
        ..Wire::new(request, !denied)
    };
    Response { passed_for_health, break_glass, ..write(request, rules, wire) }
}

impl<'a> Wire<'a> {
    fn new(request: &'a Request<'_>, allowed: bool) -> Self {
        Self {
            uid: &request.uid,
            allowed,
            status: None,
            patch_type: None,
            patch: None,
            warnings: Vec::new(),
            audit_annotations: BTreeMap::new(),
        }
    }
}

fn write(request: &Request<'_>, rules: Vec<&'static str>, response: Wire<'_>) -> Response {
    let allowed = response.allowed;
    let review = Envelope { api_version: "admission.k8s.io/v1", kind: "AdmissionReview", response };
    Response {
        uid: request.uid.to_string(),
        operation: request.operation,
        namespace: shown(&request.namespace).to_owned(),
        name: shown(&request.name).to_owned(),
        part: request.part(),
        allowed,
        exempt: false,
        rules,
        passed_for_health: Vec::new(),
        break_glass: None,
        claim: None,
        probe: None,
        body: serde_json::to_vec(&review).expect("a response is always valid JSON"),
    }
}

/// At most the length that Kubernetes allows names: a client that is no API server could fill log and memory with longer ones.
pub(crate) fn clipped(name: &str) -> &str {
    const LONGEST: usize = 253;
    name.get(..name.floor_char_boundary(LONGEST)).unwrap_or_default()
}

/// Maximum bytes of a patch in base64, and of the texts of a denial, which are in a response twice.
///
/// So a response has at most 256 KiB, which stay in memory until the client reads it. People read no more of it either.
const PATCH: usize = 160 << 10;
const CAUSES: usize = 100 << 10;

/// The status that apimachinery's `NewInvalid` makes, so that kubectl prints every cause on a line of its own.
fn invalid(request: &Request<'_>, report: &Report<'_>, decision: Option<&Decision<'_>>) -> Status {
    let causes = causes(report, decision);
    let mut lines: Vec<_> = causes
        .iter()
        .map(|StatusCause { field, message, .. }| {
            format!("{}: {}", field.as_deref().unwrap_or_default(), message.as_deref().unwrap_or_default())
        })
        .collect();
    let lines = if let [only] = &mut lines[..] { std::mem::take(only) } else { format!("[{}]", lines.join(", ")) };
    Status {
        status: Some("Failure".into()),
        code: Some(422),
        reason: Some("Invalid".into()),
        message: Some(format!("{KIND}.{GROUP} {:?} is invalid: {lines}", shown(&request.name))),
        details: Some(StatusDetails {
            name: Some(redact::escaped(shown(&request.name)).into_owned()),
            group: Some(GROUP.into()),
            kind: Some(KIND.into()),
            causes: Some(causes),
            ..StatusDetails::default()
        }),
        ..Status::default()
    }
}

fn causes(report: &Report<'_>, decision: Option<&Decision<'_>>) -> Vec<StatusCause> {
    let cause = |field: String, message: String, reason: &str| StatusCause {
        field: Some(field),
        message: Some(message),
        reason: Some(reason.into()),
    };
    let denied: Vec<_> = report.findings.iter().filter(|finding| finding.effect == Effect::Deny).collect();
    let by_rule = || denied.chunk_by(|one, next| one.rule.name == next.rule.name);
    // Each rule has a share, so that no flood of one hides another.
    let share = CAUSES / by_rule().count().max(1);
    let mut omitted = report.omitted.denials;
    let mut causes = Vec::new();
    for findings in by_rule() {
        let mut left = share;
        for finding in findings {
            let found = cause(finding.path.to_string(), finding.to_string(), finding.problem.reason());
            let bytes = serde_json::to_vec(&found).map_or(share, |json| json.len());
            match left.checked_sub(bytes) {
                Some(rest) => {
                    left = rest;
                    causes.push(found);
                }
                None => omitted += 1,
            }
        }
    }
    if omitted > 0 {
        let text = of_no_rule(&format!("Too many: {omitted} more findings"));
        causes.push(cause("status".into(), text, "FieldValueTooMany"));
    }
    if let Some(problem) = decision.and_then(Decision::problem) {
        let text = of_no_rule(&problem.to_string());
        causes.push(cause(break_glass::path().to_string(), text, problem.reason()));
    }
    causes
}

/// Marks a message that no single rule gives, in the place of the rule's name. A message without a mark is the API server's.
fn of_no_rule(message: &str) -> String {
    format!("{message} [clusterprofile-webhook]")
}

/// The warning next to a denial of a write to an object that is being deleted.
const DELETED: &str =
    "metadata.finalizers: this object is being deleted. To let it go, send a write that only removes finalizers";

/// One line for each warning, as many as the API server passes on.
fn warnings(report: &Report<'_>, denied: bool, too_many_fixes: bool, decision: Option<&Decision<'_>>) -> Vec<String> {
    /// The API server passes on 4096 characters; past that it cuts every warning to 256. The rest is left for the last line.
    const CHARACTERS: usize = 4000;
    let of_claim = decision.and_then(Decision::warning).map(|warning| of_no_rule(&warning));
    let of_deletion = (denied && report.is_deletion).then(|| of_no_rule(DELETED));
    let none_made = too_many_fixes.then(|| {
        let text =
            format!("status: more than {FIXES} values with a default are missing, so none was filled in; set them");
        of_no_rule(&text)
    });
    let of_fixes = report
        .fixes
        .iter()
        .filter(|_| !too_many_fixes)
        .filter_map(|fix| Some(format!("{}: {} [{}]", fix.path, fix.warning.as_ref()?, fix.rule.name)));
    let found = report.findings.iter().filter(|finding| !denied || finding.effect < Effect::Deny);
    let of_findings = found.map(|finding| format!("{}: {finding}", finding.path));
    let mut warnings = Vec::new();
    let mut left = CHARACTERS;
    let mut omitted = report.omitted.warnings + if denied { 0 } else { report.omitted.denials };
    for warning in of_claim.into_iter().chain(of_deletion).chain(none_made).chain(of_fixes).chain(of_findings) {
        match left.checked_sub(warning.chars().count()) {
            Some(rest) => {
                left = rest;
                warnings.push(warning);
            }
            None => omitted += 1,
        }
    }
    if omitted > 0 {
        warnings.push(of_no_rule(&format!("{omitted} more warnings are omitted")));
    }
    warnings
}
