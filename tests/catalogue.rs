//! What holds of every rule: its record is complete, its page's examples do what they say, its behaviour has cases.

use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
};

use clusterprofile_webhook::{
    manifest,
    profile::ClusterProfile,
    review::{Change, Effect, Part, Phase, Policy, Rule, review},
    rules::{self, RULES},
};
use jiff::Timestamp;
use serde_json::Value;

#[test]
fn every_record_is_complete() {
    let names: HashSet<_> = RULES.iter().map(|rule| rule.name).collect();
    assert_eq!(names.len(), RULES.len(), "a name occurs twice");
    for rule in RULES {
        let Rule { name, summary, source, exceptions, fix, since, .. } = rule;
        let words_are_kebab_case =
            name.split('-').all(|word| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase()));
        assert!(words_are_kebab_case, "{name}");
        assert!(!summary.is_empty() && !source.is_empty(), "{name}");
        for clause in [summary, source, exceptions, fix] {
            assert!(!clause.ends_with('.') && !clause.contains('\n') && !clause.contains("  "), "{name}: {clause}");
            assert!(!clause.contains("should"), "{name}: a requirement is a must: {clause}");
        }
        assert!(include_str!("../CHANGELOG.md").contains(&format!("[{since}]")), "{name}: no release {since}");
        assert_eq!(rules::find(name).map(|rule| rule.name), Some(*name));
    }
}

/// Findings are told in this order: those of one subject stand together.
#[test]
fn names_begin_with_their_subject_and_subjects_stand_together() {
    const SUBJECTS: [&str; 10] = [
        "field-type",
        "cluster-manager-",
        "inventory-member-id",
        "display-name",
        "status-ignored",
        "name-prefix",
        "property-",
        "condition-",
        "kubernetes-version",
        "access-",
    ];
    let subject = |rule: &&Rule| SUBJECTS.iter().position(|subject| rule.name.starts_with(subject));
    let subjects: Vec<_> = RULES.iter().map(|rule| subject(rule).expect(rule.name)).collect();
    assert!(subjects.is_sorted(), "{subjects:?}");
}

#[test]
fn every_page_belongs_to_a_rule_and_has_its_shape() {
    let names = |path: &Path| path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    let pages: HashSet<_> = files("src/rules/docs").iter().filter_map(|page| names(page)).collect();
    assert_eq!(pages, RULES.iter().map(|rule| rule.name.to_owned()).collect());

    for Rule { name, docs, .. } in RULES {
        let file = fs::read_to_string(format!("src/rules/docs/{name}.md")).unwrap();
        assert_eq!(*docs, file, "{name}: the page is another rule's");
        let (prose, examples) = docs.split_at(docs.find("*Stored*").or(docs.find("*Rejected*")).expect(name));
        for line in prose.lines() {
            assert!(line.chars().count() <= 100 && line.matches('`').count() % 2 == 0, "{name}: {line}");
        }
        assert!(prose.matches("\n\n").count() >= 2, "{name}: why, then what to do");
        assert!(!prose.to_lowercase().contains("should"), "{name}: a requirement is a must");
        let marks = ["*Stored*", "*Rejected*", "```text", "*Accepted*"].map(|mark| examples.find(mark));
        assert!(marks.iter().skip(1).all(Option::is_some) && marks.is_sorted(), "{name}: {marks:?}");
    }
}

/// The page of a rule that fills something in says so, and the record of one that does not is silent.
#[test]
fn fixes_are_told_on_the_page() {
    for rule in RULES {
        let told = ["is set to", "is turned into"].iter().any(|words| rule.docs.replace('\n', " ").contains(words));
        assert_eq!(told, !rule.fix.is_empty(), "{}", rule.name);
    }
}

#[test]
fn a_mistyped_name_is_told_the_nearest() {
    for (typed, meant) in [("cluster-manager-lable", "cluster-manager-label"), ("conditon-type", "condition-type")] {
        let told = rules::named(typed).expect_err("there is no such rule");
        assert_eq!(told, format!("there is no rule {typed:?}; did you mean {meant:?}?"));
    }
    let told = rules::named("zzz").expect_err("there is no such rule");
    assert_eq!(told, "there is no rule \"zzz\"; `clusterprofile-webhook explain` lists them");
}

#[test]
fn rejected_examples_break_their_rule_alone_in_the_words_of_the_page() {
    for rule in RULES {
        let stored = section(rule, "*Stored*").map(|text| example(rule, &text));
        let rejected = example(rule, &section(rule, "*Rejected*").expect(rule.name));
        let effect = switched_on(rule).to_string();
        let told = findings(rule, &rejected, stored.as_ref());
        assert!(!told.is_empty(), "{}: the rejected example passes", rule.name);
        for (name, found, text) in &told {
            assert_eq!((*name, found), (rule.name, &effect), "{text}");
        }
        let texts: Vec<_> = told.into_iter().map(|(_, _, text)| text).collect();
        assert_eq!(fence(rule.docs, "text").expect(rule.name), texts.join("\n") + "\n", "{}", rule.name);
    }
}

#[test]
fn accepted_examples_pass_every_rule() {
    for rule in RULES {
        let stored = section(rule, "*Stored*").map(|text| example(rule, &text));
        let accepted = example(rule, &section(rule, "*Accepted*").expect(rule.name));
        assert!(findings(rule, &accepted, stored.as_ref()).is_empty(), "{}", rule.name);
    }
}

/// A warning of the API server's own is one line of a terminal; the half sentence of why is on the page.
#[test]
fn texts_fit_on_a_line() {
    const LIMIT: usize = 120;
    for rule in RULES {
        let texts = fence(rule.docs, "text").expect(rule.name);
        let longest = texts.lines().map(|line| line.chars().count()).max().unwrap_or_default();
        let may_be_long = LONG_TEXTS.iter().any(|(name, _)| *name == rule.name);
        assert_eq!(longest > LIMIT, may_be_long, "{}: {longest} characters", rule.name);
    }
}

/// Rules whose text is longer than a line, and why.
const LONG_TEXTS: [(&str, &str); 6] = [
    ("cluster-manager-label", "two names, and where each stands"),
    ("inventory-member-id-changed", "the label's key and the rule's name alone are 90 characters"),
    ("property-reserved-suffix", "which names are reserved, and what to use"),
    ("property-observed-time", "an example of what to write"),
    ("condition-transition-time", "an example of what to write"),
    ("condition-transition", "two times"),
];

#[test]
fn rules_with_long_texts_are_rules() {
    for (name, why) in LONG_TEXTS {
        assert!(rules::find(name).is_some() && !why.is_empty(), "{name}");
    }
}

/// What passes, what fails, what weighs less because it is stored, and an edge, whatever that is for the rule.
#[test]
fn every_rule_has_cases_for_pass_fail_ratchet_and_edge() {
    let missing: Vec<_> = RULES.iter().flat_map(|rule| missing_cases(rule)).collect();
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

fn missing_cases(rule: &Rule) -> Vec<String> {
    let directory = format!("tests/cases/{}", rule.name);
    let read = |file: &PathBuf| fs::read_to_string(file).expect("cases are readable");
    let cases: Vec<Value> =
        files(&directory).iter().map(|file| serde_saphyr::from_str(&read(file)).expect("cases are YAML")).collect();

    let tells = |case: &Value, member: &str| tells(case.pointer(&format!("/expect/{member}")), rule.name);
    let fails = |case: &Value| ["causes", "warnings", "notes", "unpatched"].iter().any(|told| tells(case, told));
    let is_update = |case: &Value| case.get("oldObject").is_some();
    let is_lowered = |case: &Value| match switched_on(rule) {
        Effect::Deny => tells(case, "warnings"),
        Effect::Warn | Effect::Off => !fails(case),
    };
    let is_ratcheted = NOT_RATCHETED.iter().all(|(name, _)| *name != rule.name);
    let kinds = [
        (cases.iter().any(|case| !fails(case)), "passes"),
        (cases.iter().any(fails), "fails"),
        (!is_ratcheted || cases.iter().any(|case| is_update(case) && is_lowered(case)), "is ratcheted"),
        (cases.len() >= 4, "is an edge"),
    ];
    let missing = kinds.into_iter().filter(|(there, _)| !there);
    missing.map(|(_, kind)| format!("{directory}: no case that {kind}")).collect()
}

/// Rules without a ratchet, and why.
const NOT_RATCHETED: [(&str, &str); 5] = [
    ("cluster-manager-immutable", "compares with the stored object"),
    ("inventory-member-id-changed", "compares with the stored object"),
    ("property-cluster-id-changed", "compares with the stored object"),
    ("condition-transition", "compares with the stored object"),
    ("status-ignored", "tells what happens to this write, whatever is stored"),
];

#[test]
fn rules_without_a_ratchet_are_rules() {
    for (name, why) in NOT_RATCHETED {
        assert!(rules::find(name).is_some() && !why.is_empty(), "{name}");
    }
}

/// Whether a rule's name is the `rule` of anything in there.
fn tells(value: Option<&Value>, rule: &str) -> bool {
    match value {
        Some(Value::Array(items)) => items.iter().any(|item| tells(Some(item), rule)),
        Some(Value::Object(fields)) => {
            fields.get("rule").is_some_and(|name| name == rule) || fields.values().any(|field| tells(Some(field), rule))
        }
        _ => false,
    }
}

/// The files of a directory; none where there is no directory.
fn files(directory: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten();
    entries.map(|entry| entry.expect("a directory is readable").path()).collect()
}

/// The rule's own effect; the strictest where that is none.
fn switched_on(rule: &Rule) -> Effect {
    if rule.effect == Effect::Off { Effect::Deny } else { rule.effect }
}

/// Rule, effect and text of what is found: on /mutate where the rule speaks there, else on the whole manifest.
fn findings(rule: &'static Rule, object: &Value, stored: Option<&Value>) -> Vec<(&'static str, String, String)> {
    let mut policy = Policy::default();
    if rule.effect == Effect::Off {
        policy.set(rule, switched_on(rule));
    }
    let now: Timestamp = "2026-06-01T00:00:00Z".parse().expect("it is a time");
    let version = manifest::version(object).expect("examples are ClusterProfiles");
    if rule.phase == Phase::Validate {
        let checked = manifest::check(object, version, stored, &policy, now);
        assert!(checked.fixes.is_empty(), "{}: examples must need no fix", rule.name);
        let text = |field: &str, message: &str| format!("{field}: {message}");
        let found = checked.findings.iter();
        return found.map(|it| (it.rule, it.effect.to_owned(), text(&it.field, &it.message))).collect();
    }
    let text = object.to_string();
    let parsed = ClusterProfile::parse(&text).expect("an example is JSON");
    let new = parsed.set().expect("an example is an object");
    let change = Change::new(Part::Main, version, new, None, now);
    let report = review(RULES, &change, rule.phase, &policy, &|| false).expect("nothing stops it");
    let found = report.findings.iter();
    found.map(|it| (it.rule.name, it.effect.to_string(), format!("{}: {it}", it.path))).collect()
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
