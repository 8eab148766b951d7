//! Self-managed certificates, installed by the manifests.

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use testkit::{
    api::Api,
    ca::Ca,
    control_plane::ControlPlane,
    page::Section,
    rendered::text,
    replica::Replica,
    server::{get, value_of},
    wait::wait_until,
};

use super::{
    install::{item, stored_configurations},
    installed::{DRY_RUN, MANAGER, NAMESPACE, Profiles, address, finalize, serve_managed, serve_managed_at, stored},
    manifests::Shell,
};

pub(crate) fn works_and_is_armed_as_it_is(plane: &ControlPlane, shell: &Shell) {
    let scripts = [Section::readme().section("Install"), Section::page("install").section("Install with kustomize")];
    let scripts = scripts.map(|section| section.scripts());
    let [[_, uninstall], [install, ..]] = scripts.each_ref().map(Vec::as_slice) else {
        panic!("which are these? {scripts:#?}")
    };
    shell.run("kubectl apply -k manifests/crd");
    let profiles = Profiles::new(plane);
    shell.run(install);
    wait_until("writes pass while no replica serves", || {
        profiles.create("new", Some("another"), DRY_RUN).status == 201
    });
    let replica = serve_managed(plane, shell);
    wait_until("it is armed", || is_armed(plane));
    assert!(get(replica.admin, "/readyz").starts_with("HTTP/1.1 200"));
    profiles.wait_until_reviewed();
    for series in
        ["armed", "leading", "certificate_trusted{phase=\"mutate\"}", "certificate_trusted{phase=\"validate\"}"]
    {
        wait_until(series, || metric(&replica, series) == 1);
    }

    what_others_overwrite_is_repaired(plane, shell, &replica);
    let other = json!(STANDARD.encode(Ca::new("another").certificate));
    a_quarrel_is_no_load(plane, &replica, ["/clientConfig/caBundle", "ca_bundle"], &other);
    the_account_writes_dry_runs_alone(plane);
    the_steps_are_told_by_events(plane);
    a_deleted_configuration_stays_gone(plane, &replica);
    shell.run(install);
    wait_until("it is trusted again", || metric(&replica, "certificate_trusted{phase=\"mutate\"}") == 1);

    thread::scope(|scope| {
        let script = scope.spawn(|| shell.run(uninstall));
        // Before its namespace has ended, in which it can continue during the drain.
        wait_until("the webhook is not called", || {
            stored_configurations(plane).iter().all(|configuration| configuration["kind"] == "Status")
        });
        finalize(plane, NAMESPACE);
        script.join().expect("the script ends well");
    });
    drop(replica);
    wait_until("all may be written", || profiles.create("new", Some("another"), DRY_RUN).status == 201);
    assert_eq!(profiles.create("new", Some(MANAGER), "").status, 201);
}

fn what_others_overwrite_is_repaired(plane: &ControlPlane, shell: &Shell, replica: &Replica) {
    let secret =
        || plane.api.get(&format!("/api/v1/namespaces/{NAMESPACE}/secrets/clusterprofile-webhook-authority")).body;
    let (bundles, authority) = (bundles(plane), secret()["data"].clone());
    assert!(authority["ca.crt"].is_string(), "{authority}");
    for (repaired, apply) in (1..).zip(["apply", "apply --server-side --force-conflicts"]) {
        shell.run(&format!("kubectl {apply} -k manifests/base"));
        wait_until("it is armed again", || has_repaired(replica, shell, "failure_policy", repaired) && is_armed(plane));
        assert_eq!((self::bundles(plane), &secret()["data"]), (bundles.clone(), &authority));
    }

    let other = STANDARD.encode(Ca::new("another").certificate);
    for (repaired, configuration) in (1..).zip(stored_configurations(plane)) {
        let overwritten = json!([{"op": "replace", "path": "/webhooks/0/clientConfig/caBundle", "value": other}]);
        assert_eq!(plane.api.patch(&item(&configuration), "json", &overwritten).status, 200);
        wait_until("caBundle is as before", || self::bundles(plane) == bundles);
        wait_until("it is counted", || has_repaired(replica, shell, "ca_bundle", repaired));
    }
    assert_eq!(secret()["data"], authority);
}

/// Another client overwrites a field of the validating configuration after each repair. The repairs slow down.
fn a_quarrel_is_no_load(plane: &ControlPlane, replica: &Replica, [pointer, field]: [&str; 2], value: &Value) {
    /// The first ten repairs are immediate, four more follow after waits that double. A pause of a second resets the
    /// count.
    const REPAIRS: u64 = 10 + 4;
    const LEAST: Duration = Duration::from_millis(100 + 200 + 400);
    let configurations = stored_configurations(plane);
    let validating =
        configurations.iter().find(|configuration| configuration["kind"] == "ValidatingWebhookConfiguration");
    let validating = item(validating.expect("it is installed"));
    let overwritten = json!([{"op": "replace", "path": format!("/webhooks/0{pointer}"), "value": value}]);
    let repairs = || metric(replica, &format!("repairs_total{{field=\"{field}\"}}"));
    let hook = || plane.api.get(&validating).body["webhooks"][0].clone();
    let (good, before, started) = (hook(), repairs(), Instant::now());
    wait_until("it is repaired each time", || {
        if hook().pointer(pointer) != Some(value) {
            // The leader may write at the same time.
            assert!(matches!(plane.api.patch(&validating, "json", &overwritten).status, 200 | 409));
        }
        repairs() >= before + REPAIRS
    });
    let taken = started.elapsed();
    assert!(taken >= LEAST, "{field}: repaired {REPAIRS} times in {taken:?}");
    wait_until("it ends as it must", || hook() == good);
}

/// What another client could do with its token.
fn the_account_writes_dry_runs_alone(plane: &ControlPlane) {
    let account = Api::new(&plane.service_account(NAMESPACE, "clusterprofile-webhook"));
    let profile = json!({
        "apiVersion": "multicluster.x-k8s.io/v1alpha1",
        "kind": "ClusterProfile",
        "metadata": {"name": "a", "labels": {"x-k8s.io/cluster-manager": "b"}},
        "spec": {"displayName": "a", "clusterManager": {"name": "b"}},
    });
    let path = |namespace: &str| format!("/apis/multicluster.x-k8s.io/v1alpha1/namespaces/{namespace}/clusterprofiles");
    assert_eq!(account.post(&format!("{}{DRY_RUN}", path(NAMESPACE)), &profile).status, 201);
    let refused = account.post(&path(NAMESPACE), &profile);
    assert_eq!(refused.status, 403, "{refused:#?}");
    assert!(text(&refused.body, "/message").contains("may only dry-run writes of ClusterProfiles"), "{refused:#?}");
    let refused = account.post(&format!("{}{DRY_RUN}", path("default")), &profile);
    assert_eq!(refused.status, 403, "{refused:#?}");
    for path in ["/api/v1/namespaces/clusterprofile-webhook/secrets", "/api/v1/namespaces/default/events"] {
        assert_eq!(account.get(path).status, 403, "{path}");
    }
}

fn the_steps_are_told_by_events(plane: &ControlPlane) {
    let reasons = || {
        let events = plane.api.get("/apis/events.k8s.io/v1/namespaces/default/events").body;
        let events = events["items"].as_array().cloned().unwrap_or_default();
        let reasons = events.iter().filter_map(|event| Some(event["reason"].as_str()?.to_owned()));
        reasons.collect::<Vec<_>>()
    };
    for reason in ["AuthorityMade", "AuthorityTrusted", "AuthorityPromoted", "Armed"] {
        wait_until(reason, || reasons().iter().any(|found| found == reason));
    }
}

/// A user who deletes a configuration wants no calls. The leader does not create it again.
fn a_deleted_configuration_stays_gone(plane: &ControlPlane, replica: &Replica) {
    let mutating = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/clusterprofile-webhook";
    let mut applied = plane.api.get(mutating).body;
    assert_eq!(plane.api.delete(mutating).status, 200);
    wait_until("it is noticed", || metric(replica, "certificate_trusted{phase=\"mutate\"}") == 0);
    assert_eq!(plane.api.get(mutating).status, 404);

    // It could not create one either: even with the right to create, an object with this uid and version is another
    // one.
    let metadata = &applied["metadata"];
    applied["metadata"] =
        json!({"name": metadata["name"], "uid": metadata["uid"], "resourceVersion": metadata["resourceVersion"]});
    let refused = plane.api.patch(&format!("{mutating}?fieldManager=test&force=true"), "apply", &applied);
    assert_eq!(refused.status, 409, "{refused:#?}");
    assert_eq!(plane.api.get(mutating).status, 404);
}

/// Without a proven denial, the webhook is not armed. A replica that stops releases the Lease.
pub(crate) fn stays_open_where_nothing_is_denied(plane: &ControlPlane, shell: &Shell) {
    let scripts = Section::page("install").section("Install with kustomize").scripts();
    let [install, ..] = &scripts[..] else { panic!("which are these? {scripts:#?}") };
    shell.run("kubectl apply -k manifests/crd");
    let profiles = Profiles::new(plane);
    shell.run(install);
    let address = address(shell, &stored(plane, "Service"));
    let start = |flag: &str| serve_managed_at(address, plane, &shell.directory, &["--drain=0s", flag]);
    let holder = || {
        let lease = format!("/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases/clusterprofile-webhook");
        plane.api.get(&lease).body["spec"]["holderIdentity"].clone()
    };
    let bad = || profiles.create("bad", Some("another"), DRY_RUN);

    let pretenders = pretend(plane);
    let audited = start("--audit");
    let log = || fs::read_to_string(shell.directory.join("replica.log")).expect("it has a log");
    let reported =
        r#"not armed, failurePolicy stays Ignore: ValidatingAdmissionPolicy \"pretender\" denied a bad profile"#;
    wait_until("the log says why it is not armed", || log().contains(reported));
    assert!(metric(&audited, "certificate_failures_total{failure=\"arming\"}") > 0);
    let passed = bad();
    assert!(passed.status == 201 && !passed.warnings.is_empty(), "{passed:#?}");
    assert!(!is_armed(plane) && metric(&audited, "armed") == 0);
    assert!(holder().as_str().is_some_and(|holder| !holder.is_empty()));
    audited.stop();
    // A replica gives up after two seconds. On a busy machine the next one responds.
    wait_until("a replica that ends releases the Lease", || {
        holder() == "" || {
            let another = start("--audit");
            wait_until("it leads", || metric(&another, "leading") == 1);
            another.stop();
            false
        }
    });
    for path in pretenders {
        assert_eq!(plane.api.delete(&path).status, 200);
    }

    let unarmed = start("--no-arming");
    wait_until("it leads", || metric(&unarmed, "leading") == 1);
    wait_until("what is bad is denied", || bad().status == 422);
    let other = STANDARD.encode(Ca::new("another").certificate);
    let overwritten = json!([{"op": "replace", "path": "/webhooks/0/clientConfig/caBundle", "value": other}]);
    for configuration in stored_configurations(plane) {
        assert_eq!(plane.api.patch(&item(&configuration), "json", &overwritten).status, 200);
        wait_until("it is at work", || bad().status == 422);
    }
    assert!(!is_armed(plane) && metric(&unarmed, "armed") == 0);
    unarmed.stop();
    wait_until("the webhook is not called", || bad().status == 201);

    let armed = start("--log-level=info");
    wait_until("it is armed", || is_armed(plane) && metric(&armed, "armed") == 1);
    a_quarrel_is_no_load(plane, &armed, ["/failurePolicy", "failure_policy"], &json!("Ignore"));
}

/// Creates a policy that denies writes next to the webhook, with the webhook's own message. Returns what it has
/// created.
fn pretend(plane: &ControlPlane) -> [String; 2] {
    const WORDS: &str =
        r#"admission webhook "validate.clusterprofile-webhook.internal" denied the request: [cluster-manager-label]"#;
    let group = "/apis/admissionregistration.k8s.io/v1";
    let rule = json!({
        "apiGroups": ["multicluster.x-k8s.io"], "apiVersions": ["*"], "operations": ["CREATE"], "resources": ["clusterprofiles"],
    });
    let here = json!({"matchLabels": {"kubernetes.io/metadata.name": NAMESPACE}});
    let policy = json!({
        "metadata": {"name": "pretender"},
        "spec": {
            "matchConstraints": {"resourceRules": [rule], "namespaceSelector": here},
            "validations": [{"expression": "false", "message": WORDS, "reason": "Invalid"}],
        },
    });
    let binding = json!({
        "metadata": {"name": "pretender"}, "spec": {"policyName": "pretender", "validationActions": ["Deny"]},
    });
    let profile = json!({
        "apiVersion": "multicluster.x-k8s.io/v1alpha1",
        "kind": "ClusterProfile",
        "metadata": {"name": "a"},
        "spec": {"displayName": "a", "clusterManager": {"name": "b"}},
    });
    let made = [("ies", policy), ("ybindings", binding)].map(|(plural, object)| {
        let collection = format!("{group}/validatingadmissionpolic{plural}");
        let created = plane.api.post(&collection, &object);
        assert_eq!(created.status, 201, "{created:#?}");
        format!("{collection}/pretender")
    });
    let profiles = format!("/apis/multicluster.x-k8s.io/v1alpha1/namespaces/{NAMESPACE}/clusterprofiles{DRY_RUN}");
    wait_until("it pretends", || {
        let denied = plane.api.post(&profiles, &profile);
        denied.status == 422 && text(&denied.body, "/message").contains(WORDS)
    });
    made
}

/// Whether the replica has counted `count` repairs of a field. A newly elected leader may have counted fewer, because
/// its first write is no repair.
pub(crate) fn has_repaired(replica: &Replica, shell: &Shell, field: &str, times: u64) -> bool {
    let counted = metric(replica, &format!("repairs_total{{field=\"{field}\"}}"));
    let log = fs::read_to_string(shell.directory.join("replica.log")).expect("the replica logs");
    // A replica logs its identity when it acquires and when it loses leadership.
    let was_elected_anew = || log.lines().filter(|line| line.contains("\"identity\":")).count() > 1;
    counted == times || (counted < times && was_elected_anew())
}

pub(crate) fn is_armed(plane: &ControlPlane) -> bool {
    stored_configurations(plane).iter().any(|configuration| configuration["webhooks"][0]["failurePolicy"] == "Fail")
}

/// The CA certificates in both configurations.
pub(crate) fn bundles(plane: &ControlPlane) -> Vec<Value> {
    let bundles = stored_configurations(plane);
    bundles.iter().map(|configuration| configuration["webhooks"][0]["clientConfig"]["caBundle"].clone()).collect()
}

/// The value of a series of this webhook.
pub(crate) fn metric(replica: &Replica, series: &str) -> u64 {
    value_of(replica.admin, series)
}
