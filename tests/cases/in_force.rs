//! Every case file with a known CRD: if the API server will reject the write by the CRD, /mutate warns of every
//! finding. Otherwise it repeats nothing of /validate.

use std::{fs, sync::Arc};

use clusterprofile_webhook::{
    admission, crd,
    review::{CrdInForce, Phase},
    rules::RULES,
};
use libtest_mimic::Trial;
use serde_json::Value;
use testkit::case::{self, Case, Surface, Unless, Warned};

use super::{response, warned};

/// CRDs, and whether their lists have keys.
const DEFINITIONS: [(&str, bool); 3] = [("own", true), ("v1alpha1-and-v1alpha2", true), ("bundled-with-ocm", false)];

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    for (name, is_keyed) in DEFINITIONS {
        let crd = Arc::new(definition(name));
        for (case_name, case) in case::all(std::path::Path::new("tests/cases")) {
            let crd = Arc::clone(&crd);
            let is_uncalled = case.crd.as_ref().is_some_and(|crd| crd.uncalled);
            let is_skipped =
                is_uncalled || case.surfaces.get(&Surface::ApiServer).is_some_and(|difference| difference.skip);
            if is_skipped || (case.version != "v1alpha1" && !is_keyed) {
                continue;
            }
            trials.push(Trial::test(format!("in_force::{name}::{case_name}"), move || {
                run(&case, &crd, is_keyed);
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

fn run(case: &Case, crd: &Arc<CrdInForce>, is_keyed: bool) {
    let mut policy = case.policy();
    policy.set_crd(Some(Arc::clone(crd)));
    let answer = admission::respond(&case.review(&case.object), Phase::Mutate, &policy, case.now).expect("a review");
    let answer: Value = serde_json::from_slice(&answer.body).expect("an answer is JSON");
    let mutated = response(&answer);
    assert_eq!(mutated["allowed"], true, "/mutate never denies");
    let is_refused = case.crd.as_ref().is_some_and(|crd| match crd.unless {
        None => true,
        Some(Unless::Filled) => false,
        Some(Unless::Keyed) => !is_keyed,
        Some(Unless::Unkeyed) => is_keyed,
    });
    let expected = if is_refused { case.foreseen(case.expect.verdict()) } else { case.expect.mutate_warnings.clone() };
    assert_eq!(sorted(warned(&mutated)), sorted(expected), "{}", mutated["warnings"]);
}

fn sorted(warned: Vec<Warned>) -> Vec<(Option<usize>, String)> {
    let position = |warned: &Warned| RULES.iter().position(|rule| rule.name == warned.rule);
    let mut warned: Vec<_> = warned.into_iter().map(|warned| (position(&warned), warned.field)).collect();
    warned.sort();
    warned
}
