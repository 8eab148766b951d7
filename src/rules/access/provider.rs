//! `access-provider-*`: every provider has a name of its own and a cluster.

use super::{denied_by_v1alpha2, lists, providers};
use crate::{
    field_path::FieldPath,
    profile::{Field, Items, Version},
    review::{Change, Effect, Problem, Reporter, Rule, Value, Wording},
    syntax,
};

/// `access-provider-name`
pub(crate) static NAME: Rule = Rule {
    name: "access-provider-name",
    summary: "every provider has a name of 1 to 253 characters",
    source: "CRD; v1alpha2 schema",
    effect: Effect::Deny,
    exceptions: "v1alpha1: Warn when empty or longer",
    since: "0.1.0",
    docs: include_str!("../docs/access-provider-name.md"),
    check: name,
    ..Rule::VALIDATING
};

fn name<'a>(change: &Change<'a>, reporter: &mut Reporter<'_, 'a>) {
    for item in providers(change) {
        let path = || item.path().field("name");
        let detail = "must name the provider";
        match item.provider.name() {
            Field::Set("") => {
                let wording = Wording::new(detail, "empty, so no consumer selects this provider; name it");
                reporter.report_as(denied_by_v1alpha2(change), path, Problem::Empty(wording));
            }
            Field::Set(name) if syntax::is_longer(name, syntax::SUBDOMAIN_LIMIT) => {
                let problem = Problem::TooLong(name.into(), syntax::SUBDOMAIN_LIMIT);
                reporter.report_as(denied_by_v1alpha2(change), path, problem);
            }
            Field::Absent => reporter.report(path, Problem::Required(detail.into())),
            Field::Set(_) | Field::Mistyped(_) => {}
        }
    }
}

/// `access-provider-cluster`
pub(crate) static CLUSTER: Rule = Rule {
    name: "access-provider-cluster",
    summary: "every provider has a `cluster`, and there are at most 64 providers",
    source: "v1alpha2 schema",
    effect: Effect::Deny,
    exceptions: "v1alpha1: silent",
    since: "0.1.0",
    docs: include_str!("../docs/access-provider-cluster.md"),
    check: cluster,
    ..Rule::VALIDATING
};

fn cluster<'a>(change: &Change<'a>, reporter: &mut Reporter<'_, 'a>) {
    /// v1alpha2 schema: `maxItems` of `accessProviders`.
    const LIMIT: usize = 64;
    let effect = if change.version >= Version::V1alpha2 { Effect::Deny } else { Effect::Off };
    for item in providers(change) {
        if item.provider.cluster() == Field::Absent {
            let problem = Problem::Required("must say how to reach the member cluster".into());
            reporter.report_as(effect, item.path().field("cluster"), problem);
        }
    }
    for (list, providers) in lists(change) {
        let count = providers.set().map_or(0, Items::len);
        if count > LIMIT {
            reporter.report_as(effect, FieldPath::of(&["status", list]), Problem::TooMany(count, LIMIT));
        }
    }
}

/// `access-provider-unique`
pub(crate) static UNIQUE: Rule = Rule {
    name: "access-provider-unique",
    summary: "no name occurs twice within `accessProviders`, nor within `credentialProviders`",
    source: "CRD list map keys (missing in the CRDs that OCM and KubeFleet bundle)",
    effect: Effect::Deny,
    since: "0.1.0",
    docs: include_str!("../docs/access-provider-unique.md"),
    check: unique,
    ..Rule::VALIDATING
};

fn unique<'a>(change: &Change<'a>, reporter: &mut Reporter<'_, 'a>) {
    for (field, list) in lists(change) {
        let Some(list) = list.set() else { continue };
        for (index, name) in list.repeated(|provider| provider.name().text()) {
            let path = FieldPath::of(&["status", field]).item(index, Some(name)).field("name");
            reporter.report(path, Problem::Duplicate(Value::of(name)));
        }
    }
}
