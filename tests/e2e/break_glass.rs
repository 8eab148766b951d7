//! Break-glass with RBAC: users with and without the right, the permission check, and the audit log.

use std::{fs, path::Path, thread};

use clusterprofile_webhook::admission::ANNOTATION;
use serde_json::{Value, json};
use testkit::{
    api::{Api, Response},
    control_plane::ControlPlane,
    profiles::{MANAGER, bad, labelled},
    replica::Replica,
    wait::wait_until,
};

use super::{
    installed::{DRY_RUN, Profiles, serve_managed},
    managed::{is_armed, metric},
    manifests::Shell,
};

const PATH: &str = "metadata.annotations[clusterprofile-webhook.internal/break-glass]";

/// How each refusal of a wrong value ends.
const END: &str = "for this write to set rules aside [clusterprofile-webhook]";

pub(crate) fn serves_one_write_of_who_may(plane: &ControlPlane, shell: &Shell) {
    shell.be_patient();
    shell.run("kubectl apply -k manifests/crd");
    let profiles = Profiles::new(plane);
    shell.run("kubectl apply -k manifests/base");
    let replica = serve_managed(plane, shell);
    wait_until("it is armed", || is_armed(plane));
    profiles.wait_until_reviewed();
    let [may, may_not, may_later] = users(plane, shell);
    let stage = Stage { plane, may, may_not, may_later, replica: &replica };

    on_an_update(&stage);
    on_a_create(&stage);
    not_on_the_status(&stage);
    not_what_the_definition_refuses(&stage);
    let counted = ["honored", "wrong_value", "forbidden", "unchecked"].map(|outcome| claims(&replica, outcome));
    assert_eq!(counted, [6, 3, 2, 0]);

    not_before_it_is_granted(&stage, shell);
    many_at_a_time(&stage);
    not_unasked(&stage, shell);
    it_is_audited(plane);
    let log = fs::read_to_string(shell.directory.join("replica.log")).expect("the replica logs");
    assert!(log.contains(r#""break_glass":"honored""#), "{log}");
    for user in ["alice", "bob", "carol"] {
        assert!(!log.contains(user), "{log}");
    }
}

/// A namespace of profiles, and the users that write them.
struct Stage<'s> {
    plane: &'s ControlPlane,
    replica: &'s Replica,
    may: User,
    may_not: User,
    may_later: User,
}

struct User {
    api: Api,
    collection: String,
}

/// Creates a namespace in which three users can write. The first has the right to break-glass.
fn users(plane: &ControlPlane, shell: &Shell) -> [User; 3] {
    let namespace = plane.namespace(&json!({}));
    shell.run(&format!(
        "kubectl create clusterrole writer --verb=get,create,patch \
         --resource=clusterprofiles.multicluster.x-k8s.io,clusterprofiles.multicluster.x-k8s.io/status
         kubectl create rolebinding -n {namespace} writers --clusterrole=writer --user=alice --user=bob --user=carol
         kubectl create rolebinding -n {namespace} alice --clusterrole=clusterprofile-break-glass --user=alice"
    ));
    ["alice", "bob", "carol"].map(|name| {
        let user = User {
            api: Api::impersonating(&plane.kubeconfig(), name),
            collection: format!("/apis/multicluster.x-k8s.io/v1alpha1/namespaces/{namespace}/clusterprofiles"),
        };
        wait_until("the user may write", || user.create(&labelled("a"), DRY_RUN).status == 201);
        user
    })
}

impl User {
    fn create(&self, profile: &Value, query: &str) -> Response {
        self.api.post(&format!("{}{query}", self.collection), profile)
    }

    /// Sets a label that a rule denies, with a claim of this value.
    fn patch(&self, name: &str, manager: &str, claim: &Value, query: &str) -> Response {
        let patch = json!({"metadata": {"labels": {MANAGER: manager}, "annotations": {ANNOTATION: claim}}});
        self.api.patch(&format!("{}/{name}{query}", self.collection), "merge", &patch)
    }

    fn get(&self, name: &str) -> Value {
        self.api.get(&format!("{}/{name}", self.collection)).body
    }

    fn version(&self, name: &str) -> Value {
        self.get(name)["metadata"]["resourceVersion"].clone()
    }
}

/// The number of claims with this outcome.
fn claims(replica: &Replica, outcome: &str) -> u64 {
    metric(replica, &format!("break_glass_claims_total{{outcome=\"{outcome}\"}}"))
}

/// Asserts that the write is allowed, and returns the rules that it sets aside.
#[track_caller]
fn assert_honoured(answer: &Response, rules: &str) {
    assert!(matches!(answer.status, 200 | 201), "{answer:#?}");
    assert_eq!(
        answer.warnings[0],
        format!("{PATH}: these rules only warn for this write: {rules} [clusterprofile-webhook]")
    );
    assert!(answer.warnings[1].ends_with(&format!("[{rules}]")), "{answer:#?}");
}

/// Asserts that the write is denied, and returns what the response says about the claim.
#[track_caller]
fn denied(answer: &Response) -> Option<String> {
    assert_eq!(answer.status, 422, "{answer:#?}");
    let causes = answer.body["details"]["causes"].as_array().expect("a denial has causes");
    let about = causes.iter().find(|cause| cause["field"] == PATH);
    about.map(|cause| cause["message"].as_str().expect("a cause has a text").to_owned())
}

fn on_an_update(Stage { may, may_not, .. }: &Stage<'_>) {
    let created = may_not.create(&labelled("spoke"), "");
    assert_eq!(created.status, 201, "{created:#?}");
    let version = may.version("spoke");
    let refused = denied(&may_not.patch("spoke", "kueue", &version, ""));
    let refused = refused.expect("the denial says which annotation to set");
    assert!(refused.contains(r#"must have the verb "break-glass" on clusterprofiles.multicluster.x-k8s.io "spoke""#));
    let wrong = denied(&may.patch("spoke", "kueue", &json!("1"), "")).expect("the denial says which annotation to set");
    assert_eq!(wrong, format!(r#"Invalid value: "1": must be {version}, the stored resourceVersion, {END}"#));
    assert_eq!(may.version("spoke"), version);

    assert_honoured(&may.patch("spoke", "kueue", &version, DRY_RUN), "cluster-manager-label");
    assert_eq!(may.version("spoke"), version);
    assert_honoured(&may.patch("spoke", "kueue", &version, ""), "cluster-manager-label");
    let stored = may.get("spoke");
    assert_eq!(stored["metadata"]["labels"][MANAGER], "kueue");
    assert_ne!(stored["metadata"]["resourceVersion"], version);

    // The same write again changes nothing, so it is not refused. The annotation that remains permits no other write of
    // any user.
    assert_eq!(may.patch("spoke", "kueue", &version, "").status, 200);
    assert_eq!(denied(&may.patch("spoke", "another", &version, "")), None);
    let next = may.version("spoke");
    assert_eq!(next, stored["metadata"]["resourceVersion"]);
    let stale =
        denied(&may.patch("spoke", "another", &json!("2"), "")).expect("the denial says which annotation to set");
    assert!(stale.contains(&format!("must be {next}")), "{stale}");
}

fn on_a_create(Stage { may, may_not, .. }: &Stage<'_>) {
    let mut claimed = bad("new", 0);
    claimed["metadata"]["annotations"] = json!({ANNOTATION: "create"});
    let refused = denied(&may_not.create(&claimed, ""));
    assert!(refused.is_some_and(|text| text.starts_with("Forbidden: ")));
    assert_honoured(&may.create(&claimed, ""), "cluster-manager-label");

    claimed["metadata"]["annotations"] = json!({ANNOTATION: "1"});
    claimed["metadata"]["name"] = json!("newer");
    let wrong = denied(&may.create(&claimed, ""));
    assert_eq!(wrong, Some(format!(r#"Invalid value: "1": must be "create" {END}"#)));

    claimed["metadata"] = json!({
        "generateName": "generated-",
        "labels": {MANAGER: "kueue"},
        "annotations": {ANNOTATION: "create"},
    });
    assert_honoured(&may.create(&claimed, ""), "cluster-manager-label");
    assert_honoured(&may.create(&claimed, DRY_RUN), "cluster-manager-label");

    claimed["metadata"]["name"] = json!("applied");
    let path = format!("{}/applied?fieldManager=test", may.collection);
    let applied = may.api.patch(&path, "apply", &claimed);
    assert_honoured(&applied, "cluster-manager-label");
}

/// A write of the status cannot set the annotation.
fn not_on_the_status(Stage { may, .. }: &Stage<'_>) {
    let status = json!({
        "metadata": {"annotations": {ANNOTATION: may.version("spoke")}},
        "status": {"accessProviders": [{"name": "a", "cluster": {"server": "https://user:password@spoke-1"}}]},
    });
    let path = format!("{}/spoke/status", may.collection);
    assert_eq!(denied(&may.api.patch(&path, "merge", &status)), None);
}

/// A flood of claims does not block the claims of other users.
fn many_at_a_time(Stage { may, .. }: &Stage<'_>) {
    const MANY: usize = 64;
    thread::scope(|scope| {
        let claims = (0..MANY).map(|number| {
            let mut claimed = bad("many", 0);
            claimed["metadata"]["name"] = json!(format!("many-{number}"));
            claimed["metadata"]["annotations"] = json!({ANNOTATION: "create"});
            scope.spawn(move || may.create(&claimed, DRY_RUN))
        });
        for claim in claims.collect::<Vec<_>>() {
            assert_honoured(&claim.join().expect("it is answered"), "cluster-manager-label");
        }
    });
}

/// Asserts that the API server itself refuses the write.
fn not_what_the_definition_refuses(Stage { may, .. }: &Stage<'_>) {
    let moved = json!({
        "metadata": {"annotations": {ANNOTATION: may.version("spoke")}},
        "spec": {"clusterManager": {"name": "kueue"}},
    });
    let refused = may.api.patch(&format!("{}/spoke", may.collection), "merge", &moved);
    assert_eq!(denied(&refused), None);
    let message = refused.body["message"].as_str().expect("a refusal has a text");
    assert!(message.contains("ClusterManager is immutable") && !message.contains("[cluster-manager"), "{message}");
}

/// Cached permissions expire.
fn not_before_it_is_granted(Stage { may_later, .. }: &Stage<'_>, shell: &Shell) {
    let namespace = may_later.collection.split('/').nth(5).expect("it is in a namespace");
    let claim = || may_later.patch("spoke", "another", &may_later.version("spoke"), DRY_RUN);
    assert!(denied(&claim()).is_some_and(|text| text.starts_with("Forbidden: the user must have the verb")));
    shell.run(&format!(
        "kubectl create rolebinding -n {namespace} carol --clusterrole=clusterprofile-break-glass --user=carol"
    ));
    wait_until("it is honoured", || claim().status == 200);
}

/// If the webhook has no right to check permissions, no claim is honored.
fn not_unasked(Stage { may, plane, replica, .. }: &Stage<'_>, shell: &Shell) {
    shell.run("kubectl delete clusterrolebinding clusterprofile-webhook-break-glass");
    let mut text = String::new();
    // Each time another name, for which no permission is cached.
    let mut names = (0..).map(|number| format!("unasked-{number}"));
    wait_until("it may not ask", || {
        let mut claimed = bad(&names.next().unwrap_or_default(), 0);
        claimed["metadata"]["annotations"] = json!({ANNOTATION: "create"});
        let answer = may.create(&claimed, DRY_RUN);
        text = if answer.status == 422 { denied(&answer).unwrap_or_default() } else { String::new() };
        !text.is_empty()
    });
    assert!(text.contains("could not check whether the user has"), "{text}");
    assert_eq!(claims(replica, "unchecked"), 1);
    let log = plane.directory().join(Path::new("shell/replica.log"));
    wait_until("it is reported once", || {
        let log = fs::read_to_string(&log).expect("the replica logs");
        log.lines().filter(|line| line.contains("refused the permission check: 403 Forbidden")).count() == 1
    });
}

fn it_is_audited(plane: &ControlPlane) {
    let annotation = |event: &Value, name: &str| {
        event["annotations"][format!("validate.clusterprofile-webhook.internal/{name}")].clone()
    };
    let outcome = |event: &Value| annotation(event, "break-glass");
    let events = plane.audited();
    let honoured: Vec<_> = events.iter().filter(|event| outcome(event) == "honored").collect();
    assert!(honoured.len() >= 6);
    assert!(honoured.iter().all(|event| annotation(event, "set-aside") == "cluster-manager-label"), "{honoured:#?}");
    assert_eq!(honoured[0]["impersonatedUser"]["username"], "alice");
    for (name, user) in [("forbidden", "bob"), ("wrong_value", "alice"), ("unchecked", "alice")] {
        let event = events.iter().find(|event| outcome(event) == name).unwrap_or_else(|| panic!("no {name}"));
        assert_eq!(event["impersonatedUser"]["username"], user);
        assert_eq!(annotation(event, "set-aside"), Value::Null);
    }
}
