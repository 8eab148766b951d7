//! Every case file, where the rules know which CRD is in force: /mutate warns of everything that is found where the API server
//! refuses the write by itself, and of nothing that /validate will say.

use std::{fs, sync::Arc};

use clusterprofile_webhook::{
    admission, crd,
    rules::{CrdInForce, Phase, RULES},
};
use libtest_mimic::Trial;
use serde_json::Value;

use super::{
    case::{self, Case, Part, Surface, Told, Unless},
    response, told,
};

/// Definitions, and whether their lists have keys.
const DEFINITIONS: [(&str, bool); 3] = [("own", true), ("v1alpha1-and-v1alpha2", true), ("bundled-with-ocm", false)];

/// Cases that differ, for the API server calls no webhook: it cannot read their metadata.
const UNCALLED: [&str; 5] = [
    "cluster-manager-label/an-object-without-metadata-is-denied-not-filled",
    "field-type/a-time-of-deletion-that-is-a-number-is-told",
    "field-type/labels-that-are-a-string-get-no-label",
    "how-rules-act/what-is-no-time-of-deletion-deletes-nothing",
    "inventory-member-id-changed/labels-that-are-no-object-are-told-once",
];

/// A case of which nothing is foreseen: what is stored in a list within a list, which is changed.
const UNFORESEEN: &str = "access-extension/stored-only-warns";

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    for (name, is_keyed) in DEFINITIONS {
        let crd = Arc::new(definition(name));
        for (case_name, case) in case::all(std::path::Path::new("tests/cases")) {
            let crd = Arc::clone(&crd);
            let is_skipped = UNCALLED.contains(&&*case_name)
                || case.surfaces.get(&Surface::ApiServer).is_some_and(|difference| difference.skip);
            if is_skipped || (case.version != "v1alpha1" && !is_keyed) {
                continue;
            }
            trials.push(Trial::test(format!("in_force::{name}::{case_name}"), move || {
                run(&case_name, &case, &crd, is_keyed);
                Ok(())
            }));
        }
    }
    trials
}

fn definition(name: &str) -> CrdInForce {
    let yaml = match name {
        "own" => crd::yaml(),
        _ => fs::read_to_string(format!("tests/data/crd-{name}.yaml")).expect("the definition is there"),
    };
    let definition: Value = serde_saphyr::from_str(&yaml).expect("it is YAML");
    CrdInForce::read(definition).expect("it is a definition")
}

fn run(name: &str, case: &Case, crd: &Arc<CrdInForce>, is_keyed: bool) {
    let mut policy = case.policy();
    policy.set_crd(Some(Arc::clone(crd)));
    let answer = admission::respond(&case.review(&case.object), Phase::Mutate, &policy, case.now).expect("a review");
    let answer: Value = serde_json::from_slice(&answer.body).expect("an answer is JSON");
    let mutated = response(&answer);
    assert_eq!(mutated["allowed"], true, "/mutate never denies");
    let expected = if is_keyed && name == UNFORESEEN { case.expect.notes.clone() } else { expected(case, is_keyed) };
    assert_eq!(sorted(told(&mutated)), sorted(expected), "{}", mutated["warnings"]);
}

/// What /mutate warns of: all that is found where the CRD refuses, else its own findings.
fn expected(case: &Case, is_keyed: bool) -> Vec<Told> {
    let mut told = case.expect.notes.clone();
    let is_refused = case.crd.as_ref().is_some_and(|crd| match crd.unless {
        None => true,
        Some(Unless::Filled) => false,
        Some(Unless::Keyed) => !is_keyed,
        Some(Unless::Unkeyed) => is_keyed,
    });
    if is_refused {
        let verdict = case.expect.verdict();
        let causes = verdict.causes.into_iter().map(|cause| Told { rule: cause.rule, field: cause.field });
        let found = causes.chain(verdict.warnings);
        told.extend(found.filter(|told| case.part == Part::Status || !told.field.starts_with("status")));
    }
    told
}

fn sorted(told: Vec<Told>) -> Vec<(Option<usize>, String)> {
    let position = |told: &Told| RULES.iter().position(|rule| rule.name == told.rule);
    let mut told: Vec<_> = told.into_iter().map(|told| (position(&told), told.field)).collect();
    told.sort();
    told
}
