//! Values of a JSON type that their field does not take, and items past the most that are checked.

use crate::{
    field_path::FieldPath,
    profile::{ClusterProfile, Field, Json, List, Status},
    review::{Change, Effect, Problem, Report, Rule, Value},
    rules::access::{clusters, has_deprecated_fields, providers},
};

/// `field-type`
pub(crate) static FIELD_TYPE: Rule = Rule {
    name: "field-type",
    summary: "a field that rules read has the JSON type that the API gives it, where no other rule covers it; the lists of an \
              object have at most 65536 items together, and those past them are not checked",
    source: "CRD",
    effect: Effect::Deny,
    since: "0.1.0",
    docs: include_str!("docs/field-type.md"),
    check: field_type,
    ..Rule::VALIDATING
};

fn field_type<'a>(change: &Change<'a>, report: &mut Report<'a>) {
    if let Some(profile) = change.identity() {
        check_identity(profile, report);
    }
    expect(change.status_field(), no_object, || FieldPath::of(&["status"]), report);
    if let Some(status) = change.status() {
        check_status(status, report);
        if has_deprecated_fields(change) {
            expect_objects(&status.credential_providers, || FieldPath::of(&["status", "credentialProviders"]), report);
        }
        check_providers(change, report);
    }
}

fn no_object(json: &Json) -> Problem<'static> {
    Problem::TypeInvalid(json.into(), "must be an object".into())
}

fn no_array(json: &Json) -> Problem<'static> {
    Problem::TypeInvalid(json.into(), "must be an array".into())
}

fn no_boolean(json: &Json) -> Problem<'static> {
    Problem::TypeInvalid(json.into(), "must be true or false".into())
}

fn check_identity<'a>(profile: &'a ClusterProfile<'a>, report: &mut Report<'a>) {
    let metadata = |field| FieldPath::of(&["metadata", field]);
    expect(&profile.metadata, no_object, || FieldPath::of(&["metadata"]), report);
    if let Some(object) = profile.metadata.set() {
        expect(&object.name, Problem::no_string, || metadata("name"), report);
        expect(&object.deletion_timestamp, Problem::no_string, || metadata("deletionTimestamp"), report);
        expect(&object.labels, no_object, || metadata("labels"), report);
        if let Some(annotations) = object.annotations.filter(|annotations| !annotations.is_object()) {
            let value = Value::Typed(annotations.kind(), annotations.text().into());
            report.deny(metadata("annotations"), Problem::TypeInvalid(value, "must be an object".into()));
        }
    }
    if let Some(labels) = profile.labels() {
        let label = |key: &'static str| metadata("labels").key(key);
        expect(&labels.cluster_manager, Problem::no_string, || label("x-k8s.io/cluster-manager"), report);
        expect(
            &labels.inventory_member_id,
            Problem::no_string,
            || label("multicluster.x-k8s.io/inventory-member-id"),
            report,
        );
    }
    expect(&profile.spec, no_object, || FieldPath::of(&["spec"]), report);
    let Some(spec) = profile.spec.set() else { return };
    expect(&spec.display_name, Problem::no_string, || FieldPath::of(&["spec", "displayName"]), report);
    expect(&spec.cluster_manager, no_object, || FieldPath::of(&["spec", "clusterManager"]), report);
    if let Some(manager) = spec.cluster_manager.set() {
        expect(&manager.name, Problem::no_string, || FieldPath::of(&["spec", "clusterManager", "name"]), report);
    }
}

fn check_status<'a>(status: &'a Status<'a>, report: &mut Report<'a>) {
    expect(&status.version, no_object, || FieldPath::of(&["status", "version"]), report);
    if let Some(version) = status.version.set() {
        expect(&version.kubernetes, Problem::no_string, || FieldPath::of(&["status", "version", "kubernetes"]), report);
    }
    expect_objects(&status.properties, || FieldPath::of(&["status", "properties"]), report);
    for (index, property) in status.properties.items() {
        let path = || FieldPath::of(&["status", "properties"]).item(index, property.name.text());
        expect(&property.name, Problem::no_string, || path().field("name"), report);
        expect(&property.last_observed_time, Problem::no_string, || path().field("lastObservedTime"), report);
    }
    expect_objects(&status.conditions, || FieldPath::of(&["status", "conditions"]), report);
    for (index, condition) in status.conditions.items() {
        let path = || FieldPath::of(&["status", "conditions"]).item(index, condition.kind.text());
        expect(&condition.kind, Problem::no_string, || path().field("type"), report);
        expect(&condition.reason, Problem::no_string, || path().field("reason"), report);
        expect(&condition.last_transition_time, Problem::no_string, || path().field("lastTransitionTime"), report);
    }
    expect_objects(&status.access_providers, || FieldPath::of(&["status", "accessProviders"]), report);
}

fn check_providers<'a>(change: &Change<'a>, report: &mut Report<'a>) {
    for item in providers(change) {
        expect(&item.provider.name, Problem::no_string, || item.path().field("name"), report);
        expect(&item.provider.cluster, no_object, || item.path().field("cluster"), report);
    }
    for (item, cluster) in clusters(change) {
        let path = |field| item.path().field("cluster").field(field);
        expect(&cluster.server, Problem::no_string, || path("server"), report);
        expect(&cluster.tls_server_name, Problem::no_string, || path("tls-server-name"), report);
        expect(&cluster.insecure_skip_tls_verify, no_boolean, || path("insecure-skip-tls-verify"), report);
        if has_deprecated_fields(change) {
            expect(&cluster.certificate_authority, Problem::no_string, || path("certificate-authority"), report);
        }
        expect(&cluster.certificate_authority_data, Problem::no_string, || path("certificate-authority-data"), report);
        expect(&cluster.proxy_url, Problem::no_string, || path("proxy-url"), report);
        expect(&cluster.disable_compression, no_boolean, || path("disable-compression"), report);
        expect_objects(&cluster.extensions, || path("extensions"), report);
        for (index, extension) in cluster.extensions.items() {
            let path = || path("extensions").item(index, extension.name.text());
            expect(&extension.name, Problem::no_string, || path().field("name"), report);
        }
    }
}

fn expect<'a, T>(
    field: &Field<T>,
    problem: impl FnOnce(&Json) -> Problem<'static>,
    path: impl FnOnce() -> FieldPath<'a>,
    report: &mut Report<'a>,
) {
    if let Some(json) = field.mistyped() {
        report.deny(path, problem(json));
    }
}

fn expect_objects<'a, T>(list: &List<'_, T>, path: impl Fn() -> FieldPath<'a>, report: &mut Report<'a>) {
    expect(list, no_array, &path, report);
    let Some(items) = list.set() else { return };
    items.each_other(|index, json| report.deny(path().item(index, None), no_object(&json)));
    if let Some(past) = items.past() {
        report.deny(path, Problem::Past(past));
    }
}
