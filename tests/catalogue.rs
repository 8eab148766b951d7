//! What holds of every rule: its record is complete, its page's examples do what they say, its behaviour has cases.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on must end")]

use std::{fs, path::Path};

use clusterprofile_webhook::{
    manifest,
    profile::{ClusterProfile, Field},
    rules::{self, Change, Effect, Part, Phase, Policy, RULES, Rule, review},
};
use jiff::Timestamp;
use serde_json::Value;

#[test]
fn every_record_is_complete() {
    for (position, rule) in RULES.iter().enumerate() {
        let Rule { name, summary, source, since, docs, .. } = rule;
        let words_are_kebab_case =
            name.split('-').all(|word| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase()));
        assert!(words_are_kebab_case, "{name}");
        assert_eq!(RULES.iter().position(|other| other.name == *name), Some(position), "{name} occurs twice");
        assert!(!summary.is_empty() && !summary.ends_with('.') && !summary.contains('\n'), "{name}: {summary}");
        assert!(!source.is_empty(), "{name}");
        assert!(include_str!("../CHANGELOG.md").contains(&format!("[{since}]")), "{name}: no release {since}");
        assert!(Path::new(&format!("src/rules/docs/{name}.md")).is_file(), "{name}");
        assert!(
            docs.lines().all(|line| line.len() <= 100 || !line.contains(' ') || is_example(line)),
            "{name}: long lines"
        );
        assert!(!docs.contains("should"), "{name}: a requirement is a must");
        assert_eq!(rules::find(name).map(|rule| rule.name), Some(*name));
    }
}

/// Causes and base64 are as long as they are.
fn is_example(line: &str) -> bool {
    line.contains('[') || line.contains("certificate-authority-data")
}

#[test]
fn nearest_finds_what_was_meant_and_nothing_else() {
    for (typed, meant) in [("cluster-manager-lable", "cluster-manager-label"), ("conditon-type", "condition-type")] {
        assert_eq!(rules::nearest(typed).map(|rule| rule.name), Some(meant));
    }
    assert!(rules::nearest("zzz").is_none());
}

#[test]
fn rejected_examples_are_found_by_their_rule_in_the_words_of_the_page() {
    for rule in RULES {
        let stored = section(rule, "*Stored*").map(|text| example(rule, &text));
        let rejected = example(rule, &section(rule, "*Rejected*").expect(rule.name));
        let told: Vec<_> = findings(rule, &rejected, stored.as_ref())
            .into_iter()
            .filter(|text| text.ends_with(&format!("[{}]", rule.name)))
            .collect();
        assert!(!told.is_empty(), "{}: the rejected example passes", rule.name);
        assert_eq!(fence(rule.docs, "text").expect(rule.name), told.join("\n") + "\n", "{}", rule.name);
    }
}

#[test]
fn accepted_examples_pass_every_rule() {
    for rule in RULES {
        let stored = section(rule, "*Stored*").map(|text| example(rule, &text));
        let accepted = example(rule, &section(rule, "*Accepted*").expect(rule.name));
        assert_eq!(findings(rule, &accepted, stored.as_ref()), Vec::<String>::new(), "{}", rule.name);
    }
}

#[test]
fn every_rule_has_cases_for_pass_fail_ratchet_and_edge() {
    for rule in RULES {
        let directory = format!("tests/cases/{}", rule.name);
        let cases = fs::read_dir(&directory).map_or(0, Iterator::count);
        assert!(cases >= 4, "{directory}: {cases} cases");
    }
}

/// What the webhooks say of the example: /mutate where the rule speaks there, else both on the whole manifest.
fn findings(rule: &'static Rule, object: &Value, stored: Option<&Value>) -> Vec<String> {
    let mut policy = Policy::default();
    if rule.effect == Effect::Off {
        policy.set(rule, Effect::Deny);
    }
    let now: Timestamp = "2026-06-01T00:00:00Z".parse().unwrap();
    let version = manifest::version(object).expect("examples are ClusterProfiles");
    if rule.phase == Phase::Validate {
        let checked = manifest::check(object, version, stored, &policy, now);
        assert!(checked.fixes.is_empty(), "{}: examples must need no fix", rule.name);
        return checked.findings.into_iter().map(|found| format!("{}: {}", found.field, found.message)).collect();
    }
    let text = object.to_string();
    let Field::Set(new) = serde_json::from_str::<Field<ClusterProfile<'_>>>(&text).unwrap() else {
        panic!("no object")
    };
    let report = review(&Change::new(Part::Main, version, &new, None, now), rule.phase, &policy);
    report.findings.iter().map(|finding| format!("{}: {finding}", finding.path)).collect()
}

fn example(rule: &Rule, yaml: &str) -> Value {
    let (mut documents, errors) = manifest::read(yaml.as_bytes());
    assert!(errors.is_empty() && documents.len() == 1, "{}: {errors:?}", rule.name);
    documents.remove(0).object
}

/// The YAML after a heading of a rule's page.
fn section(rule: &Rule, heading: &str) -> Option<String> {
    fence(rule.docs.split_once(heading)?.1, "yaml")
}

fn fence(text: &str, language: &str) -> Option<String> {
    let (_, rest) = text.split_once(&format!("```{language}\n"))?;
    Some(rest.split_once("```")?.0.to_owned())
}
