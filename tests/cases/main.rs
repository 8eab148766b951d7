//! Runs every case file in process, over HTTPS and through `check`. `tests/e2e/cases.rs` runs them on a real API
//! server.

#![expect(clippy::panic, clippy::indexing_slicing, reason = "a test that cannot go on must end")]

mod in_force;

use std::{
    collections::HashMap,
    io::Write as _,
    path::Path,
    process::{Command, ExitCode, Stdio},
    sync::{Arc, Mutex, OnceLock},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use clusterprofile_webhook::{
    admission,
    review::Phase,
    server::{Config, Limits, LiveConfig},
};
use jiff::{Timestamp, ToSpan as _};
use libtest_mimic::{Arguments, Trial};
use serde_json::{Value, json};
use testkit::{
    case::{self, Case, Cause, PolicyOf, Surface, UID, Verdict, Warned},
    client::Client,
    server::Server,
    verdict,
};

fn main() -> ExitCode {
    let mut trials = Vec::new();
    for (name, case) in case::all(Path::new("tests/cases")) {
        for surface in [Surface::Core, Surface::Https, Surface::Check] {
            let case = case.clone();
            if case.surfaces.get(&surface).is_some_and(|difference| difference.skip) {
                continue;
            }
            trials.push(Trial::test(format!("{surface:?}::{name}").to_lowercase(), move || {
                run(&case, surface);
                Ok(())
            }));
        }
    }
    trials.extend(in_force::trials());
    assert!(trials.len() > 100, "the case files are there");
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn run(case: &Case, surface: Surface) {
    match surface {
        Surface::Core => {
            webhooks(case, case.now, &|phase, body| respond(case, phase, body, case.now));
            twice(case);
        }
        Surface::Https => webhooks(case, Timestamp::now(), &|phase, body| {
            let server = server_with(case);
            let mut client = Client::connect(server.address, &server.ca).expect("the server takes connections");
            let answer = client.post(&format!("/{phase}?timeout=30s"), body).expect("the server answers");
            assert_eq!(answer.status, 200, "{}", answer.text());
            serde_json::from_slice(&answer.body).expect("an answer is JSON")
        }),
        Surface::Check => check(case),
        Surface::ApiServer | Surface::Crd => unreachable!("tests/e2e runs them"),
    }
}

fn respond(case: &Case, phase: Phase, body: &[u8], now: Timestamp) -> Value {
    let answer = admission::respond(body, phase, &case.policy(), now).expect("the case is a review");
    serde_json::from_slice(&answer.body).expect("an answer is JSON")
}

/// A second identical write changes nothing.
fn twice(case: &Case) {
    let stored = mutated(case, case.now);
    let again = Case { operation: None, old_object: Some(stored.clone()), ..case.clone() };
    let [first, second] = [stored, mutated(&again, case.now + 1.hour())].map(|mut object| {
        // A fix on CREATE only: an update of the whole object without the field removes it.
        object.pointer_mut("/spec").and_then(Value::as_object_mut).map(|spec| spec.remove("displayName"));
        object
    });
    if case.operation.as_deref() != Some("DELETE") {
        assert_eq!(second, first, "a second identical write changes what is stored");
    }
}

/// Applies the patch of /mutate.
fn mutated(case: &Case, now: Timestamp) -> Value {
    let answer = response(&respond(case, Phase::Mutate, &case.review(&case.object), now));
    patched(&case.object, &patch_of(&answer))
}

fn patched(object: &Value, patch: &[Value]) -> Value {
    let patch = serde_json::from_value::<json_patch::Patch>(json!(patch)).expect("it is a patch");
    let mut object = object.clone();
    json_patch::patch(&mut object, &patch).expect("the patch applies");
    object
}

/// One server for each policy of the cases.
fn server_with(case: &Case) -> Arc<Server> {
    static SERVERS: OnceLock<Mutex<HashMap<PolicyOf, Arc<Server>>>> = OnceLock::new();
    let mut servers = SERVERS.get_or_init(Mutex::default).lock().expect("no test panics while it holds the servers");
    let config = || Config { live: Arc::new(LiveConfig::new(case.policy(), Limits::default())), ..Config::default() };
    Arc::clone(servers.entry(case.policy.clone()).or_insert_with(|| Arc::new(Server::start(config()))))
}

/// Calls /mutate, then /validate with the patched object, and compares the responses with the case.
fn webhooks(case: &Case, now: Timestamp, call: &dyn Fn(Phase, &[u8]) -> Value) {
    let mutated = response(&call(Phase::Mutate, &case.review(&case.object)));
    assert_eq!(mutated["allowed"], json!(true), "/mutate never denies");
    let patch = patch_of(&mutated);
    assert_patch(&patch, &case.expect.patch, now);
    assert_eq!(warned(&mutated), case.expect.mutate_warnings, "warnings of /mutate: {}", mutated["warnings"]);
    let object = patched(&case.object, &patch);
    if !patch.is_empty() {
        let again = response(&call(Phase::Mutate, &case.review(&object)));
        assert_eq!(patch_of(&again), Vec::<Value>::new(), "mutating twice is mutating once");
    }
    let validated = response(&call(Phase::Validate, &case.review(&object)));
    assert_verdict(&validated, &case.expect.verdict());
    for warning in [&mutated, &validated].into_iter().flat_map(|answer| texts_of(&answer["warnings"])) {
        assert!(!reads_as_a_denial(&warning), "{warning}");
    }
    if let Some(text) = &case.expect.text {
        let texts = texts(&mutated).into_iter().chain(texts(&validated)).collect::<Vec<_>>();
        assert!(texts.contains(text), "expected {text:?} among {texts:#?}");
    }
    if let Some(unpatched) = &case.expect.unpatched {
        assert_verdict(&response(&call(Phase::Validate, &case.review(&case.object))), unpatched);
    }
}

/// Whether a warning has the reason of a denial. What is stored is neither invalid nor forbidden.
fn reads_as_a_denial(text: &str) -> bool {
    const REASONS: [&str; 7] = [
        "Invalid value",
        "Required value",
        "Unsupported value",
        "Duplicate value",
        "Forbidden",
        "Too long",
        "Too many",
    ];
    let message = text.split_once(": ").map_or(text, |(_, message)| message);
    REASONS.iter().any(|reason| message.starts_with(reason))
}

/// Returns the response, after a check of its uid and of its warnings, which the API server must not truncate.
fn response(review: &Value) -> Value {
    assert_eq!(review["apiVersion"], "admission.k8s.io/v1");
    assert_eq!(review["kind"], "AdmissionReview");
    let response = &review["response"];
    assert_eq!(response["uid"], UID);
    let warnings = texts_of(&response["warnings"]);
    assert!(warnings.iter().all(|warning| !warning.contains(char::is_control)), "{warnings:?}");
    assert!(warnings.iter().map(|warning| warning.chars().count()).sum::<usize>() <= 4096, "too long in all");
    response.clone()
}

fn patch_of(response: &Value) -> Vec<Value> {
    let Some(patch) = response["patch"].as_str() else { return Vec::new() };
    assert_eq!(response["patchType"], "JSONPatch");
    serde_json::from_slice(&STANDARD.decode(patch).expect("a patch is base64")).expect("a patch is JSON")
}

fn assert_patch(patch: &[Value], expected: &[Value], now: Timestamp) {
    let mut patch = patch.to_vec();
    for (operation, expected) in patch.iter_mut().zip(expected) {
        if expected["value"] == "$now" {
            let time: Timestamp = operation["value"].as_str().and_then(|time| time.parse().ok()).expect("a time");
            assert!(time.duration_until(now).abs().as_secs() < 60, "{time} is not now");
            operation["value"] = json!("$now");
        }
    }
    assert_eq!(json!(patch), json!(expected));
}

fn assert_verdict(response: &Value, expected: &Verdict) {
    let allowed = response["allowed"] == json!(true);
    assert_eq!(response["status"]["code"], if allowed { Value::Null } else { json!(422) }, "{response}");
    let verdict = Verdict { allowed, causes: verdict::causes(&response["status"]), warnings: warned(response) };
    assert_eq!(verdict, *expected, "{response:#}");
}

/// Rule and field of each warning. Advice next to a denial during a deletion has no rule, and is left out.
fn warned(response: &Value) -> Vec<Warned> {
    let warnings = texts_of(&response["warnings"]);
    let of_rules = warnings.iter().filter(|text| !text.starts_with("metadata.finalizers: "));
    of_rules.map(|text| verdict::warning(text).unwrap_or_else(|| panic!("no rule in {text:?}"))).collect()
}

fn texts(response: &Value) -> Vec<String> {
    let causes = response["status"]["details"]["causes"].as_array().into_iter().flatten();
    let causes = causes.map(|cause| {
        format!("{}: {}", cause["field"].as_str().unwrap_or_default(), cause["message"].as_str().unwrap_or_default())
    });
    causes.chain(texts_of(&response["warnings"])).collect()
}

fn texts_of(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().filter_map(|text| text.as_str().map(String::from)).collect()
}

/// Runs `check` on the manifest, with the stored object as `--old`, and compares its report with the case.
fn check(case: &Case) {
    let stored = case.old_object.as_ref().map(|object| {
        let mut file = tempfile::NamedTempFile::new().expect("a file can be made");
        file.write_all(object.to_string().as_bytes()).expect("it can be written");
        file
    });
    let mut command = Command::new(testkit::program());
    command.args(["check", "-", "-o", "json"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    command.args(case.policy.effects.iter().map(|(rule, effect)| format!("--effect={rule}={effect}")));
    command.args(case.policy.audit.then_some("--audit"));
    if let Some(stored) = &stored {
        command.arg("--old").arg(stored.path());
    }
    let mut process = command.spawn().expect("the binary runs");
    let mut input = process.stdin.take().expect("it is piped");
    input.write_all(case.object.to_string().as_bytes()).expect("the binary reads");
    drop(input);
    let output = process.wait_with_output().expect("the binary ends");
    let outcome: Value = serde_json::from_slice(&output.stdout).expect("check prints JSON");
    let object = &outcome["objects"][0];
    let expected = expected_of_check(case);
    assert_eq!(output.status.code(), Some(i32::from(!expected.allowed)), "{outcome:#}");

    let findings = object["findings"].as_array().expect("there are findings, or none");
    let text = |value: &Value| value.as_str().expect("it is text").to_owned();
    let denied = findings.iter().filter(|finding| finding["effect"] == "deny");
    let causes = denied.map(|finding| Cause {
        rule: text(&finding["rule"]),
        reason: text(&finding["reason"]),
        field: text(&finding["field"]),
    });
    let fixes = object["fixes"].as_array().expect("there are fixes, or none");
    let warned = fixes.iter().filter(|fix| !fix["warning"].is_null());
    let warned = warned.chain(findings.iter().filter(|finding| finding["effect"] == "warn"));
    let warnings = warned.map(|warning| Warned { rule: text(&warning["rule"]), field: text(&warning["field"]) });
    let verdict = Verdict { allowed: output.status.success(), causes: causes.collect(), warnings: warnings.collect() };
    assert_eq!(verdict, expected, "{outcome:#}");
    let values = |operation: &Value| match &operation["value"] {
        Value::Object(label) => label.values().cloned().collect(),
        value => vec![value.clone()],
    };
    let filled: Vec<_> = case.expect.patch.iter().flat_map(values).collect();
    let set: Vec<_> = fixes.iter().map(|fix| fix["value"].clone()).collect();
    assert_eq!(set.len(), filled.len(), "{outcome:#}");
    assert!(set.iter().zip(&filled).all(|(set, filled)| set == filled || filled == "$now"), "{outcome:#}");
}

/// The expected report of `check`, which combines both webhooks, with the differences that the case has for it.
fn expected_of_check(case: &Case) -> Verdict {
    let Verdict { allowed, causes, warnings } = case.expect.verdict();
    let all = case
        .expect
        .mutate_warnings
        .iter()
        .filter(|warned| warned.rule != "status-ignored")
        .cloned()
        .chain(warnings)
        .collect();
    case.on(Surface::Check, Verdict { allowed, causes, warnings: all })
}
