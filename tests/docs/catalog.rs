//! Every rule has a complete record, a page with true examples, and cases.

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
            assert!(!clause.contains("should"), "{name}: write must, or the imperative: {clause}");
        }
        assert!(include_str!("../../CHANGELOG.md").contains(&format!("[{since}]")), "{name}: no release {since}");
        assert_eq!(rules::find(name).map(|rule| rule.name), Some(*name));
    }
}

/// Findings are reported in this order, so those of one subject come together.
#[test]
fn names_begin_with_their_subject_and_are_sorted_by_it() {
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
        assert!(!prose.to_lowercase().contains("should"), "{name}: write must, or the imperative");
        let marks = ["*Stored*", "*Rejected*", "```text", "*Accepted*"].map(|mark| examples.find(mark));
        assert!(marks.iter().skip(1).all(Option::is_some) && marks.is_sorted(), "{name}: {marks:?}");
    }
}

/// The page of a rule mentions a fix if, and only if, its record has one.
#[test]
fn the_page_of_a_rule_describes_its_fix() {
    for rule in RULES {
        let describes =
            ["is set to", "is turned into"].iter().any(|words| rule.docs.replace('\n', " ").contains(words));
        assert_eq!(describes, !rule.fix.is_empty(), "{}", rule.name);
    }
}

#[test]
fn an_unknown_name_suggests_a_similar_one() {
    for (typed, meant) in [("cluster-manager-lable", "cluster-manager-label"), ("conditon-type", "condition-type")] {
        let error = rules::named(typed).expect_err("there is no such rule");
        assert_eq!(error, format!("there is no rule {typed:?}; did you mean {meant:?}?"));
    }
    let error = rules::named("zzz").expect_err("there is no such rule");
    assert_eq!(error, "there is no rule \"zzz\"; `clusterprofile-webhook explain` lists them");
}

#[test]
fn rejected_examples_break_only_their_rule_with_the_message_on_the_page() {
    for rule in RULES {
        let stored = section(rule, "*Stored*").map(|text| example(rule, &text));
        let rejected = example(rule, &section(rule, "*Rejected*").expect(rule.name));
        let effect = switched_on(rule).to_string();
        let found = findings(rule, &rejected, stored.as_ref());
        assert!(!found.is_empty(), "{}: the rejected example passes", rule.name);
        for (name, actual, text) in &found {
            assert_eq!((*name, actual), (rule.name, &effect), "{text}");
        }
        let texts: Vec<_> = found.into_iter().map(|(_, _, text)| text).collect();
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

/// kubectl prints field path, message and rule name on one line, so a message is short. The page has the details.
#[test]
fn messages_are_short() {
    const LIMIT: usize = 120;
    for rule in RULES {
        let texts = fence(rule.docs, "text").expect(rule.name);
        let message = |line: &str| Some(line.split_once(": ")?.1.rsplit_once(" [")?.0.chars().count());
        let longest = texts.lines().filter_map(message).max().expect(rule.name);
        let may_be_long = LONG_MESSAGES.iter().any(|(name, _)| *name == rule.name);
        assert_eq!(longest > LIMIT, may_be_long, "{}: {longest} characters", rule.name);
    }
}

/// Rules with a longer message, and why.
const LONG_MESSAGES: [(&str, &str); 1] = [("cluster-manager-name", "says what a label value is")];

#[test]
fn rules_with_long_messages_are_rules() {
    for (name, why) in LONG_MESSAGES {
        assert!(rules::find(name).is_some() && !why.is_empty(), "{name}");
    }
}

/// Each rule has a case that passes, one that fails, one that the ratchet downgrades, and an edge case.
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

    let names = |case: &Value, member: &str| names(case.pointer(&format!("/expect/{member}")), rule.name);
    let fails =
        |case: &Value| ["causes", "warnings", "mutateWarnings", "unpatched"].iter().any(|list| names(case, list));
    let is_update = |case: &Value| case.get("oldObject").is_some();
    let is_lowered = |case: &Value| match switched_on(rule) {
        Effect::Deny => names(case, "warnings"),
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
    ("status-ignored", "is about this write, not about what is stored"),
];

#[test]
fn rules_without_a_ratchet_are_rules() {
    for (name, why) in NOT_RATCHETED {
        assert!(rules::find(name).is_some() && !why.is_empty(), "{name}");
    }
}

/// Whether the value has a member `rule` with this name, at any depth.
fn names(value: Option<&Value>, rule: &str) -> bool {
    match value {
        Some(Value::Array(items)) => items.iter().any(|item| names(Some(item), rule)),
        Some(Value::Object(fields)) => {
            fields.get("rule").is_some_and(|name| name == rule) || fields.values().any(|field| names(Some(field), rule))
        }
        _ => false,
    }
}

/// The files of a directory, or none if it does not exist.
fn files(directory: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten();
    entries.map(|entry| entry.expect("a directory is readable").path()).collect()
}

/// The default effect of the rule, or deny if that is off.
fn switched_on(rule: &Rule) -> Effect {
    if rule.effect == Effect::Off { Effect::Deny } else { rule.effect }
}

/// Rule, effect and text of each finding: of /mutate if the rule runs there, otherwise of the whole manifest.
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
