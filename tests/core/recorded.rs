//! Recorded admission reviews and the profiles of real cluster managers pass.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on must end")]

use std::{fs, path::PathBuf};

use clusterprofile_webhook::{
    admission, manifest,
    profile::{ClusterProfile, Field},
    review::{Change, Part, Phase, Policy, patch, review},
    rules::RULES,
};
use jiff::Timestamp;
use serde_json::{Value, json};

/// The recorded bodies with findings: name, whether the write is allowed, rules.
const SPEAK: [(&str, bool, &[&str]); 11] = [
    ("create-by-serviceaccount-mutate", true, &[]),
    ("generatename-create-mutate", true, &["cluster-manager-label"]),
    // Recorded without a webhook that adds the label.
    ("generatename-create-validate", false, &["cluster-manager-label"]),
    ("kep-create-boolean-mutate", true, &["status-ignored", "condition-status", "condition-reason"]),
    ("kep-status-replace-boolean-mutate", true, &["condition-status", "condition-reason"]),
    ("kubefleet-status-server-empty-mutate", true, &[]),
    ("kubefleet-takes-over-foreign-mutate", true, &[]),
    ("ssa-update-mutate", true, &[]),
    ("finalizer-removal-validate", true, &[]),
    ("delete-validate", true, &[]),
    ("kubefleet-delete-validate", true, &[]),
];

fn files(directory: &str) -> Vec<(String, PathBuf)> {
    let mut files: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.file_stem().unwrap().to_string_lossy().into_owned(), path))
        .collect();
    files.sort();
    assert!(files.len() > 20, "{directory} holds what was recorded");
    files
}

#[test]
fn recorded_reviews_are_answered_as_expected() {
    for (name, path) in files("tests/data/admission-reviews") {
        let phase = if name.ends_with("-mutate") { Phase::Mutate } else { Phase::Validate };
        let body = fs::read(path).unwrap();
        let answer = admission::respond(&body, phase, &Policy::default(), Timestamp::now()).expect(&name);
        let sent: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(sent["request"]["uid"], answer.uid.as_str(), "{name}");
        let (_, allowed, rules) =
            SPEAK.iter().find(|(known, ..)| *known == name).copied().unwrap_or((&name, true, &[]));
        assert_eq!((answer.allowed, &answer.rules[..]), (allowed, rules), "{name}");
    }
}

#[test]
fn a_profile_taken_over_by_another_manager_is_refused() {
    let body = fs::read("tests/data/admission-reviews/kubefleet-takes-over-foreign-mutate.json").unwrap();
    let answer = admission::respond(&body, Phase::Validate, &Policy::default(), Timestamp::now()).unwrap();
    assert_eq!((answer.allowed, answer.rules), (false, vec!["cluster-manager-immutable"]));
}

#[test]
fn profiles_of_real_managers_get_only_the_known_warnings_and_patch() {
    for (name, path) in files("tests/data/profiles") {
        let text = fs::read_to_string(path).unwrap();
        let header = |key: &str| {
            let value = text.lines().find_map(|line| line.strip_prefix(&format!("# {key}: ")));
            value.unwrap_or_else(|| unreachable!("{name}: no {key}")).to_owned()
        };
        assert_eq!(header("expect"), "allow");
        let may_warn = header("may-warn");
        let (mut documents, errors) = manifest::read(text.as_bytes());
        assert!(errors.is_empty() && documents.len() == 1, "{name}: {errors:?}");
        let object = documents.remove(0).object;
        let version = manifest::version(&object).expect("it is a profile");

        let whole = manifest::check(&object, version, None, &Policy::default(), Timestamp::now());
        assert!(!whole.is_denied(), "{name}: {:?}", whole.findings);
        let warned: Vec<_> = whole.findings.iter().map(|finding| finding.rule).collect();
        assert!(warned.iter().all(|rule| may_warn.contains(rule)), "{name}: {warned:?}");

        let part = if header("request").contains("status") { Part::Status } else { Part::Main };
        let text = object.to_string();
        let Field::Set(new) = ClusterProfile::parse(&text).unwrap() else { unreachable!("{name} is an object") };
        let mut stored = object.clone();
        stored.as_object_mut().unwrap().remove("status");
        let stored = stored.to_string();
        let stored = ClusterProfile::parse(&stored).unwrap();
        let old = stored.set().filter(|_| part == Part::Status);
        let change = Change::new(part, version, &new, old, Timestamp::now());
        let report = review(RULES, &change, Phase::Mutate, &Policy::default(), &|| false).unwrap();
        let patched = patch(&report.fixes, &new).map_or(json!("none"), |patch| json!(patch));
        let expected = header("mutation");
        let expected = serde_json::from_str(&expected).unwrap_or(json!(expected));
        assert_eq!(patched, expected, "{name}");
        let report = review(RULES, &change, Phase::Validate, &Policy::default(), &|| false).unwrap();
        assert!(part == Part::Main || !report.denies(), "{name}: {:?}", report.findings);
    }
}
