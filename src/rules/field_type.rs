//! `field-type`: values of a wrong JSON type, and more items than rules check.

use crate::{
    field_path::FieldPath,
    profile::{ClusterProfile, Field, Items, Json, List, Status},
    review::{Change, Effect, Problem, Reporter, Rule, Value},
    rules::access::{clusters, has_deprecated_fields, providers},
};

/// `field-type`
pub(crate) static FIELD_TYPE: Rule = Rule {
    name: "field-type",
    summary: "a field that rules read has the JSON type that the API gives it, where no other rule covers it; the lists of an \
              object have at most 65536 items together, and further ones are not checked",
    source: "CRD",
    effect: Effect::Deny,
    since: "0.1.0",
    docs: include_str!("docs/field-type.md"),
    check: field_type,
    ..Rule::VALIDATING
};

fn field_type<'a>(change: &Change<'a>, reporter: &mut Reporter<'_, 'a>) {
    if let Some(profile) = change.metadata_and_spec() {
        check_identity(profile, reporter);
    }
    expect(change.status_field(), no_object, || FieldPath::of(&["status"]), reporter);
    if let Some(status) = change.status() {
        check_status(status, reporter);
        if has_deprecated_fields(change) {
            expect_objects(
                &status.credential_providers,
                || FieldPath::of(&["status", "credentialProviders"]),
                reporter,
            );
        }
        check_providers(change, reporter);
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

fn check_identity<'a>(profile: &'a ClusterProfile<'a>, reporter: &mut Reporter<'_, 'a>) {
    let metadata = |field| FieldPath::of(&["metadata", field]);
    expect(&profile.metadata, no_object, || FieldPath::of(&["metadata"]), reporter);
    if let Some(object) = profile.metadata.set() {
        expect(&object.name, Problem::no_string, || metadata("name"), reporter);
        expect(&object.deletion_timestamp, Problem::no_string, || metadata("deletionTimestamp"), reporter);
        expect(&object.labels, no_object, || metadata("labels"), reporter);
        if let Some(annotations) = object.annotations.filter(|annotations| !annotations.is_object()) {
            let value = Value::Typed(annotations.kind(), annotations.text().into());
            reporter.report(metadata("annotations"), Problem::TypeInvalid(value, "must be an object".into()));
        }
    }
    if let Some(labels) = profile.labels() {
        let label = |key: &'static str| metadata("labels").key(key);
        expect(&labels.cluster_manager, Problem::no_string, || label("x-k8s.io/cluster-manager"), reporter);
        expect(
            &labels.inventory_member_id,
            Problem::no_string,
            || label("multicluster.x-k8s.io/inventory-member-id"),
            reporter,
        );
    }
    expect(&profile.spec, no_object, || FieldPath::of(&["spec"]), reporter);
    let Some(spec) = profile.spec.set() else { return };
    expect(&spec.display_name, Problem::no_string, || FieldPath::of(&["spec", "displayName"]), reporter);
    expect(&spec.cluster_manager, no_object, || FieldPath::of(&["spec", "clusterManager"]), reporter);
    if let Some(manager) = spec.cluster_manager.set() {
        expect(&manager.name, Problem::no_string, || FieldPath::of(&["spec", "clusterManager", "name"]), reporter);
    }
}

fn check_status<'a>(status: &'a Status<'a>, reporter: &mut Reporter<'_, 'a>) {
    expect(&status.version, no_object, || FieldPath::of(&["status", "version"]), reporter);
    if let Some(version) = status.version.set() {
        expect(
            &version.kubernetes,
            Problem::no_string,
            || FieldPath::of(&["status", "version", "kubernetes"]),
            reporter,
        );
    }
    expect_objects(&status.properties, || FieldPath::of(&["status", "properties"]), reporter);
    for (index, property) in status.properties.items() {
        let path = || FieldPath::of(&["status", "properties"]).item(index, property.name().text());
        expect(&property.name(), Problem::no_string, || path().field("name"), reporter);
        expect(&property.last_observed_time(), Problem::no_string, || path().field("lastObservedTime"), reporter);
    }
    expect_objects(&status.conditions, || FieldPath::of(&["status", "conditions"]), reporter);
    for (index, condition) in status.conditions.items() {
        let path = || FieldPath::of(&["status", "conditions"]).item(index, condition.kind().text());
        expect(&condition.kind(), Problem::no_string, || path().field("type"), reporter);
        expect(&condition.reason(), Problem::no_string, || path().field("reason"), reporter);
        expect(&condition.last_transition_time(), Problem::no_string, || path().field("lastTransitionTime"), reporter);
    }
    expect_objects(&status.access_providers, || FieldPath::of(&["status", "accessProviders"]), reporter);
}

fn check_providers<'a>(change: &Change<'a>, reporter: &mut Reporter<'_, 'a>) {
    for item in providers(change) {
        expect(&item.provider.name(), Problem::no_string, || item.path().field("name"), reporter);
        expect(&item.provider.cluster(), no_object, || item.path().field("cluster"), reporter);
    }
    for (item, cluster) in clusters(change) {
        let path = |field| item.path().field("cluster").field(field);
        expect(&cluster.server(), Problem::no_string, || path("server"), reporter);
        expect(&cluster.tls_server_name(), Problem::no_string, || path("tls-server-name"), reporter);
        expect(&cluster.insecure_skip_tls_verify(), no_boolean, || path("insecure-skip-tls-verify"), reporter);
        if has_deprecated_fields(change) {
            expect(&cluster.certificate_authority(), Problem::no_string, || path("certificate-authority"), reporter);
        }
        expect(
            &cluster.certificate_authority_data(),
            Problem::no_string,
            || path("certificate-authority-data"),
            reporter,
        );
        expect(&cluster.proxy_url(), Problem::no_string, || path("proxy-url"), reporter);
        expect(&cluster.disable_compression(), no_boolean, || path("disable-compression"), reporter);
        expect(&cluster.extensions(), no_array, || path("extensions"), reporter);
        if let Some(extensions) = cluster.extensions().into_set() {
            expect_items(extensions, || path("extensions"), reporter);
        }
        for (index, extension) in cluster.extensions().items() {
            let path = || path("extensions").item(index, extension.name().text());
            expect(&extension.name(), Problem::no_string, || path().field("name"), reporter);
        }
    }
}

fn expect<'a, T>(
    field: &Field<T>,
    problem: impl FnOnce(&Json) -> Problem<'static>,
    path: impl FnOnce() -> FieldPath<'a>,
    reporter: &mut Reporter<'_, 'a>,
) {
    if let Some(json) = field.mistyped() {
        reporter.report(path, problem(json));
    }
}

fn expect_objects<'a, T>(list: &List<'_, T>, path: impl Fn() -> FieldPath<'a>, reporter: &mut Reporter<'_, 'a>) {
    expect(list, no_array, &path, reporter);
    if let Some(items) = list.set() {
        expect_items(items, path, reporter);
    }
}

fn expect_items<'a, T>(items: &Items<'_, T>, path: impl Fn() -> FieldPath<'a>, reporter: &mut Reporter<'_, 'a>) {
    items.each_non_object(|index, json| reporter.report(path().item(index, None), no_object(&json)));
    if let Some(past) = items.past() {
        reporter.report(path, Problem::Past(past));
    }
}
