//! Every case file on a real API server: with the webhooks, and with the CRD alone.

use std::{path::Path, sync::Arc};

use jiff::Timestamp;
use libtest_mimic::Trial;
use serde_json::{Value, json};
use testkit::{
    api::Response,
    case::{self, Case, Part, Surface, Unless, Verdict, Warned},
    control_plane::ControlPlane,
    verdict,
};

use super::planes::{Crd, Planes};

pub(crate) fn trials(planes: &Arc<Planes>) -> Vec<Trial> {
    let mut trials = Vec::new();
    for (name, case) in case::all(Path::new("tests/cases")) {
        for crd in Crd::ALL.into_iter().filter(|crd| crd.serves(&case.version)) {
            for (surface, run) in [(Surface::ApiServer, with_webhooks as Run), (Surface::Crd, with_crd_alone)] {
                if case.surfaces.get(&surface).is_some_and(|difference| difference.skip) {
                    continue;
                }
                let (case, planes) = (case.clone(), Arc::clone(planes));
                trials.push(Trial::test(format!("{surface:?}::{crd:?}::{name}").to_lowercase(), move || {
                    run(&case, crd, &planes);
                    Ok(())
                }));
            }
        }
    }
    trials
}

type Run = fn(&Case, Crd, &Planes);

fn with_webhooks(case: &Case, crd: Crd, planes: &Planes) {
    let plane = planes.get(crd);
    let webhook = plane.webhook(case);
    let write = Write::new(case, &plane.control, &webhook.labels());
    let answer = write.send();
    let warnings: Vec<_> = answer.warnings.iter().filter_map(|text| verdict::warning(text)).collect();
    if let Some(text) = refused_by(case, crd, true) {
        assert_refused(&answer, text);
        // /validate is not called, so /mutate reports everything.
        let is_uncalled = case.crd.as_ref().is_some_and(|crd| crd.uncalled);
        let expected =
            if is_uncalled { Vec::new() } else { case.foreseen(case.on(Surface::ApiServer, case.expect.verdict())) };
        assert_eq!(sorted(warnings), sorted(expected), "{:?}", answer.warnings);
        return;
    }
    let expected = expected(case);
    assert_eq!(verdict::causes(&answer.body), expected.causes, "{answer:#?}");
    assert_eq!(warnings, expected.warnings, "{answer:#?}");
    assert_eq!(answer.status, if expected.allowed { write.success() } else { 422 }, "{answer:#?}");
    if expected.allowed {
        write.assert_filled_in();
    }
}

/// Sorts warnings by rule and field, because /mutate reports its fixes first.
fn sorted(mut warned: Vec<Warned>) -> Vec<Warned> {
    warned.sort_by(|one, other| (&one.rule, &one.field).cmp(&(&other.rule, &other.field)));
    warned
}

/// The expected verdict of both webhooks together. The API server removes the status of the main part between them.
fn expected(case: &Case) -> Verdict {
    let Verdict { mut causes, mut warnings, .. } = case.expect.verdict();
    if case.part == Part::Main {
        causes.retain(|cause| !cause.field.starts_with("status"));
        warnings.retain(|warned| !warned.field.starts_with("status"));
    }
    let warnings = case.expect.mutate_warnings.iter().cloned().chain(warnings).collect();
    case.on(Surface::ApiServer, Verdict { allowed: causes.is_empty(), causes, warnings })
}

fn with_crd_alone(case: &Case, crd: Crd, planes: &Planes) {
    let write = Write::new(case, &planes.get(crd).control, &json!({}));
    let answer = write.send();
    match refused_by(case, crd, false) {
        Some(text) => assert_refused(&answer, text),
        None => assert_eq!(answer.status, write.success(), "{answer:#?}"),
    }
}

/// The message with which the API server rejects the write by the CRD, if it does.
fn refused_by(case: &Case, crd: Crd, filled: bool) -> Option<&str> {
    let case::Crd { rejects, unless, .. } = case.crd.as_ref()?;
    let accepted = match unless {
        None => false,
        Some(Unless::Filled) => filled,
        Some(Unless::Keyed) => crd == Crd::Own,
        Some(Unless::Unkeyed) => crd == Crd::Unkeyed,
    };
    (!accepted).then_some(rejects)
}

fn assert_refused(answer: &Response, text: &str) {
    assert!(matches!(answer.status, 400 | 422), "{answer:#?}");
    let message = answer.body["message"].as_str().unwrap_or_default();
    assert!(message.contains(text) && !message.contains("admission webhook"), "{answer:#?}");
}

/// Ignores unknown fields, so that the API server does not warn about them.
const QUERY: &str = "?fieldValidation=Ignore";

/// Sends the write of a case to a new namespace.
struct Write<'c> {
    case: &'c Case,
    control: &'c ControlPlane,
    collection: String,
    item: String,
    object: Value,
}

impl<'c> Write<'c> {
    /// Stores the old object of the case.
    fn new(case: &'c Case, control: &'c ControlPlane, labels: &Value) -> Self {
        let namespace = control.namespace(labels);
        let collection = format!("/apis/multicluster.x-k8s.io/{}/namespaces/{namespace}/clusterprofiles", case.version);
        let mut object = case.object.clone();
        if object["metadata"].is_object() {
            object["metadata"]["namespace"] = json!(namespace);
        }
        let stored = case.old_object.clone().or_else(|| {
            (case.part == Part::Status || case.operation.as_deref() == Some("DELETE")).then(|| {
                let mut stored = object.clone();
                stored.as_object_mut().expect("the object of a status write is one").remove("status");
                stored
            })
        });
        let mut item = String::new();
        if let Some(stored) = stored {
            item = format!("{collection}/{}", stored["metadata"]["name"].as_str().expect("what is stored has a name"));
            control.store(&namespace, stored);
            let current = control.api.get(&item);
            assert_eq!(current.status, 200, "{current:#?}");
            if object["metadata"].is_object() {
                object["metadata"]["resourceVersion"] = current.body["metadata"]["resourceVersion"].clone();
            }
        }
        Self { case, control, collection, item, object }
    }

    fn send(&self) -> Response {
        let Self { case, control, collection, item, object } = self;
        match case.part {
            _ if case.operation.as_deref() == Some("DELETE") => control.api.delete(item),
            Part::Status => control.api.put(&format!("{item}/status{QUERY}"), object),
            Part::Main if item.is_empty() => control.api.post(&format!("{collection}{QUERY}"), object),
            Part::Main => control.api.put(&format!("{item}{QUERY}"), object),
        }
    }

    /// The response of the API server to an accepted write.
    fn success(&self) -> u16 {
        if self.item.is_empty() { 201 } else { 200 }
    }

    /// Asserts that the stored object has the fixes of the case.
    fn assert_filled_in(&self) {
        let filled = self.case.expect.patch.iter();
        for operation in filled.filter(|operation| self.case.part == Part::Status || !in_status(operation)) {
            let name = self.case.object["metadata"]["name"].as_str().expect("what is filled in can be found by name");
            let stored = self.control.api.get(&format!("{}/{name}", self.collection)).body;
            let found = stored.pointer(operation["path"].as_str().expect("an operation has a path"));
            let is_time = operation["value"] == "$now" && found.and_then(Value::as_str).is_some_and(is_now);
            assert!(is_time || found == Some(&operation["value"]), "{operation} is not in {stored:#}");
        }
    }
}

fn is_now(text: &str) -> bool {
    let time: Option<Timestamp> = text.parse().ok();
    time.is_some_and(|time| time.duration_until(Timestamp::now()).abs().as_secs() < 60)
}

fn in_status(operation: &Value) -> bool {
    operation["path"].as_str().is_some_and(|path| path.starts_with("/status"))
}
