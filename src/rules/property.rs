//! `property-*`: names and values of `status.properties` that consumers can rely on.

use std::{cell::OnceCell, collections::HashSet};

use crate::{
    digest,
    field_path::FieldPath,
    profile::{Field, Property, Status},
    redact::quote,
    review::{Change, Effect, Problem, Reporter, Rule, Value, Wording},
    rules::check_time,
    syntax,
};

/// `property-name`
pub(crate) static NAME: Rule = Rule {
    name: "property-name",
    summary: "1 to 253 characters: segments joined by `/`, each 1 to 63 of `[A-Za-z0-9._-]`, alphanumeric at both ends; \
              the first may instead be a DNS-1123 subdomain",
    source: "KEP-2149 (names of ClusterProperties); label keys and KubeFleet's property names; CRD 1..253",
    effect: Effect::Deny,
    since: "0.1.0",
    docs: include_str!("docs/property-name.md"),
    check: name,
    yields_to_health: true,
    ..Rule::VALIDATING
};

fn name<'a>(change: &Change<'a>, reporter: &mut Reporter<'_, 'a>) {
    for (index, property) in properties(change) {
        let path = || item(index, property).field("name");
        match property.name() {
            Field::Set(name) if is_name(name) => {}
            Field::Set(name) if syntax::is_longer(name, syntax::SUBDOMAIN_LIMIT) => {
                reporter.report(path, Problem::TooLong(name.into(), syntax::SUBDOMAIN_LIMIT));
            }
            Field::Set(name) if !name.is_empty() => {
                reporter.report(path, Problem::Invalid(Value::of(name), name_syntax(name).into()));
            }
            Field::Set(_) => reporter.report(path, Problem::Empty("must name the property".into())),
            Field::Absent => reporter.report(path, Problem::Required("must name the property".into())),
            Field::Mistyped(_) => {}
        }
    }
}

/// What a name lacks that [`is_name`] refuses.
fn name_syntax(name: &str) -> &'static str {
    let is_end = |end: Option<char>| end.is_some_and(|end| end.is_ascii_alphanumeric());
    if !name.chars().all(|letter| letter.is_ascii_alphanumeric() || "-_./".contains(letter)) {
        "may contain only letters, digits, '-', '_', '.' and '/'"
    } else if name.split('/').all(|segment| is_end(segment.chars().next()) && is_end(segment.chars().last())) {
        "must have at most 63 characters in each part between '/'"
    } else {
        "must start and end with a letter or digit, and so must each part between '/'"
    }
}

fn is_name(name: &str) -> bool {
    let (first, rest) = name.split_once('/').map_or((name, None), |(first, rest)| (first, Some(rest)));
    name.len() <= syntax::SUBDOMAIN_LIMIT
        && (syntax::is_segment(first) || syntax::is_subdomain(first))
        && rest.is_none_or(|rest| rest.split('/').all(syntax::is_segment))
}

/// `property-unique`
pub(crate) static UNIQUE: Rule = Rule {
    name: "property-unique",
    summary: "no name occurs twice",
    source: "CRD list map keys (missing in the CRDs that OCM and KubeFleet bundle)",
    effect: Effect::Deny,
    since: "0.1.0",
    docs: include_str!("docs/property-unique.md"),
    check: unique,
    yields_to_health: true,
    ..Rule::VALIDATING
};

fn unique<'a>(change: &Change<'a>, reporter: &mut Reporter<'_, 'a>) {
    let Some(list) = change.status().and_then(|status| status.properties.set()) else { return };
    for (index, name) in list.repeated(|property| property.name().text()) {
        let path = FieldPath::of(&["status", "properties"]).item(index, Some(name)).field("name");
        reporter.report(path, Problem::Duplicate(Value::of(name)));
    }
}

/// `property-value`
pub(crate) static VALUE: Rule = Rule {
    name: "property-value",
    summary: "a string of 1 to 1024 code points",
    source: "CRD",
    effect: Effect::Deny,
    since: "0.1.0",
    docs: include_str!("docs/property-value.md"),
    check: value,
    yields_to_health: true,
    ..Rule::VALIDATING
};

fn value<'a>(change: &Change<'a>, reporter: &mut Reporter<'_, 'a>) {
    /// CRD: `maxLength` of a property's value.
    const LIMIT: usize = 1024;
    for (index, property) in properties(change) {
        let path = || item(index, property).field("value");
        match property.value() {
            Field::Set("") => reporter.report(path, Problem::Empty(VALUE_REQUIRED.into())),
            Field::Set(value) if syntax::is_longer(value, LIMIT) => {
                reporter.report(path, Problem::TooLong(value.into(), LIMIT));
            }
            Field::Set(_) => {}
            Field::Absent => reporter.report(path, Problem::Required(VALUE_REQUIRED.into())),
            Field::Mistyped(json) => {
                reporter.report(path, Problem::no_string(&json));
            }
        }
    }
}

const VALUE_REQUIRED: &str = "must have 1 to 1024 characters; leave out a property without a value";

/// `property-observed-time`
pub(crate) static OBSERVED_TIME: Rule = Rule {
    name: "property-observed-time",
    summary: "`lastObservedTime`, when set, is RFC 3339",
    source: "CRD; KEP-4322 Properties",
    effect: Effect::Deny,
    exceptions: "Warn when more than 5 minutes in the future",
    since: "0.1.0",
    docs: include_str!("docs/property-observed-time.md"),
    check: observed_time,
    yields_to_health: true,
    ..Rule::VALIDATING
};

fn observed_time<'a>(change: &Change<'a>, reporter: &mut Reporter<'_, 'a>) {
    // Agents observe all properties at once, so most times are the same.
    let mut valid = None;
    for (index, property) in properties(change) {
        let time = property.last_observed_time();
        if valid.is_some() && time.text() == valid {
            continue;
        }
        let path = || item(index, property).field("lastObservedTime");
        if check_time(time, path, change, reporter) {
            valid = time.text();
        }
    }
}

/// `property-reserved-suffix`
pub(crate) static RESERVED_SUFFIX: Rule = Rule {
    name: "property-reserved-suffix",
    summary: "a name that ends in `.k8s.io` or `.kubernetes.io`, or whose prefix does, is well known: `clusterset.k8s.io`, \
              `cluster.clusterset.k8s.io`, `id.k8s.io`, `topology.kubernetes.io/region`, `topology.kubernetes.io/zone`, \
              `clusterset.k8s.io/cluster-id`, and those of drafts: `location.`, `region.` and `zone.topology.k8s.io`, `count.`, \
              `type.` and `distribution.node.k8s.io`, `cluster-entrypoints.k8s.io`, `metrics-endpoints.k8s.io`",
    source: "KEP-2149 Additional Properties; enhancements#5185; namespace sameness",
    effect: Effect::Warn,
    since: "0.1.0",
    docs: include_str!("docs/property-reserved-suffix.md"),
    check: reserved_suffix,
    yields_to_health: true,
    ..Rule::VALIDATING
};

fn reserved_suffix<'a>(change: &Change<'a>, reporter: &mut Reporter<'_, 'a>) {
    const WELL_KNOWN: [&str; 14] = [
        CLUSTERSET,
        "cluster.clusterset.k8s.io",
        "id.k8s.io",
        "topology.kubernetes.io/region",
        "topology.kubernetes.io/zone",
        "clusterset.k8s.io/cluster-id",
        // Of drafts: enhancements#5185 and namespace sameness.
        "location.topology.k8s.io",
        "region.topology.k8s.io",
        "zone.topology.k8s.io",
        "count.node.k8s.io",
        "type.node.k8s.io",
        "distribution.node.k8s.io",
        "cluster-entrypoints.k8s.io",
        "metrics-endpoints.k8s.io",
    ];
    for (index, property) in properties(change) {
        let Some(name) = property.name().text() else { continue };
        let prefix = name.split_once('/').map_or(name, |(prefix, _)| prefix);
        let reserved = [prefix, name].iter().any(|text| text.ends_with(".k8s.io") || text.ends_with(".kubernetes.io"));
        if reserved && !WELL_KNOWN.contains(&name) {
            let detail =
                "names under k8s.io and kubernetes.io are reserved; use a domain you own, such as foo.example.com";
            reporter.report(item(index, property).field("name"), Problem::Invalid(Value::of(name), detail.into()));
        }
    }
}

/// `property-cluster-id`
pub(crate) static CLUSTER_ID: Rule = Rule {
    name: "property-cluster-id",
    summary: "the value of `id.k8s.io` and `cluster.clusterset.k8s.io` is a DNS-1123 subdomain shorter than 128 characters",
    source: "KEP-2149",
    effect: Effect::Warn,
    since: "0.1.0",
    docs: include_str!("docs/property-cluster-id.md"),
    check: cluster_id,
    yields_to_health: true,
    ..Rule::VALIDATING
};

fn cluster_id<'a>(change: &Change<'a>, reporter: &mut Reporter<'_, 'a>) {
    /// KEP-2149: an id has fewer characters.
    const LIMIT: usize = 128;
    for (index, property) in cluster_ids(change) {
        let Some(id) = property.value().text().filter(|id| !id.is_empty()) else { continue };
        if id.len() >= LIMIT || !syntax::is_subdomain(id) {
            let warning = "cannot be part of a host name; use a DNS name of at most 127 characters";
            let wording = Wording::new("must be a DNS name of at most 127 characters", warning);
            reporter.report(item(index, property).field("value"), Problem::Invalid(Value::of(id), wording));
        }
    }
}

/// `property-cluster-id-changed`
pub(crate) static CLUSTER_ID_CHANGED: Rule = Rule {
    name: "property-cluster-id-changed",
    summary: "the value of `id.k8s.io` and `cluster.clusterset.k8s.io` equals the stored one while `clusterset.k8s.io` is \
              set on both",
    source: "KEP-2149 Lifespan",
    effect: Effect::Warn,
    since: "0.1.0",
    docs: include_str!("docs/property-cluster-id-changed.md"),
    check: cluster_id_changed,
    yields_to_health: true,
    ..Rule::VALIDATING
};

fn cluster_id_changed<'a>(change: &Change<'a>, reporter: &mut Reporter<'_, 'a>) {
    let (Some(new), Some(old)) = (change.status(), change.old_status()) else { return };
    let is_member =
        |status: &'a Status<'a>| status.property(CLUSTERSET).is_some_and(|clusterset| !clusterset.is_empty());
    if !is_member(new) || !is_member(old) {
        return;
    }
    let stored = CLUSTER_IDS.map(|name| old.property(name));
    let all_stored = OnceCell::new();
    // Made once for each id, however many properties differ from it: quoting searches for secrets.
    let wordings = CLUSTER_IDS.map(|_| OnceCell::new());
    for (index, property) in cluster_ids(change) {
        let known = CLUSTER_IDS.iter().zip(stored).zip(&wordings).find(|((name, _), _)| property.name().is(name));
        if let (Some(id), Some(((_, Some(stored)), wording))) = (property.value().text(), known)
            && id != stored
            && !all_stored.get_or_init(|| id_digests(old)).contains(&digest::of((property.name().text(), Some(id))))
        {
            let wording = wording.get_or_init(|| {
                let stored = quote(stored);
                let warning = format!(
                    "replaces {stored}: other clusters lose its services; keep {stored}, or first take the cluster out of its clusterset"
                );
                Wording::new(format!("must stay {stored} while the cluster is in a clusterset"), warning)
            });
            reporter.report(item(index, property).field("value"), Problem::Invalid(Value::of(id), wording.clone()));
        }
    }
    for (name, stored) in CLUSTER_IDS.into_iter().zip(stored) {
        // The KEP has renamed the property: the same id under the other name is still there.
        let is_kept = |stored| cluster_ids(change).any(|(_, it)| it.name().is(name) || it.value().is(stored));
        if let Some(stored) = stored.filter(|stored| !is_kept(stored)) {
            let stored = quote(stored);
            let warning = format!(
                "{name} removed (was {stored}): other clusters lose its services; keep it, or first take the cluster out of its clusterset"
            );
            let wording =
                Wording::new(format!("must keep {name} {stored} while the cluster is in a clusterset"), warning);
            reporter.report(FieldPath::of(&["status", "properties"]), Problem::Required(wording));
        }
    }
}

/// The property that names the clusterset of the cluster.
const CLUSTERSET: &str = "clusterset.k8s.io";

/// The properties whose value identifies the cluster: the KEP's name for it, and its former name.
const CLUSTER_IDS: [&str; 2] = ["id.k8s.io", "cluster.clusterset.k8s.io"];

fn cluster_ids<'a>(change: &Change<'a>) -> impl Iterator<Item = (usize, Property<'a>)> {
    properties(change).filter(|(_, property)| is_cluster_id(*property))
}

/// Digests of the name and value of each id: CRDs without list-map keys store a name twice.
fn id_digests(status: &Status<'_>) -> HashSet<u64> {
    let ids = status.properties.items().filter(|(_, property)| is_cluster_id(*property));
    ids.map(|(_, id)| digest::of((id.name().text(), id.value().text()))).collect()
}

fn is_cluster_id(property: Property<'_>) -> bool {
    CLUSTER_IDS.iter().any(|name| property.name().is(name))
}

fn properties<'a>(change: &Change<'a>) -> impl Iterator<Item = (usize, Property<'a>)> {
    change.status().into_iter().flat_map(|status| status.properties.items())
}

fn item(index: usize, property: Property<'_>) -> FieldPath<'_> {
    FieldPath::of(&["status", "properties"]).item(index, property.name().text())
}
