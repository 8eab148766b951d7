//! A hub with the installed manifests. The webhook manages its own certificates.

use std::{net::SocketAddr, path::Path, thread, time::Duration};

use serde_json::{Value, json};
use testkit::{
    control_plane::ControlPlane,
    rendered::{at, text},
    replica::{arguments, service_address, with_flags},
    wait::wait_until,
    webhook::{collection, configurations},
};

use super::{fleet::Fleet, upgrade::Release};

/// The replicas and their certificates.
pub(crate) struct Hub<'p> {
    plane: &'p ControlPlane,
    service: SocketAddr,
    flags: Vec<String>,
    fleet: Fleet,
    /// Renewals of replicas that have ended.
    renewed: u64,
    pub changes_of_leader: usize,
}

/// The stages of a CA rotation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Stage {
    /// There is one CA.
    Steady,
    /// There is a next CA, which is trusted or soon will be, and does not sign.
    Overlap,
    /// The next CA signs, and the previous one is still trusted.
    Signing,
}

/// The name of nearly everything in the manifests, and of their namespace.
const NAME: &str = "clusterprofile-webhook";

impl<'p> Hub<'p> {
    /// Applies the manifests, and runs the command line of the Deployment with these flags and other addresses.
    pub(crate) fn install(plane: &'p ControlPlane, flags: &[&str]) -> Self {
        Self::install_release(plane, flags, &Release::own())
    }

    /// As [`Hub::install`], for another release.
    pub(crate) fn install_release(plane: &'p ControlPlane, flags: &[&str], release: &Release) -> Self {
        apply(plane, release);
        let deployment = stored(plane, "apis/apps", "deployment");
        let account = text(&deployment, "/spec/template/spec/serviceAccountName");
        let service = address(plane, &stored(plane, "api", "service"));
        let kubeconfig = plane.service_account(NAME, account);
        let arguments = own_arguments(&deployment, flags);
        let fleet = Fleet::start(&release.program, service, arguments, Some(kubeconfig), plane.directory());
        let flags = flags.iter().map(ToString::to_string).collect();
        let hub = Self { plane, service, flags, fleet, renewed: 0, changes_of_leader: 0 };
        // A busy machine must not make it a test of speed.
        hub.overwrite("timeoutSeconds", &json!(30));
        wait_until("the validating webhook fails closed", || hub.failure_policy() == "Fail");
        hub
    }

    /// Waits until a rotation has reached a stage.
    pub(crate) fn wait_for(&self, stage: Stage) {
        /// Short enough to see each stage begin.
        const PAUSE: Duration = Duration::from_millis(50);
        wait_until(&format!("the rotation is at {stage:?}"), || {
            thread::park_timeout(PAUSE);
            self.stage() == stage
        });
    }

    /// Stops the leader as a rollout does, and waits for another one.
    pub(crate) fn stop_leader(&mut self) {
        let leader = self.leader();
        self.stop(leader);
        self.changes_of_leader += 1;
        self.leader();
    }

    fn stop(&mut self, index: usize) {
        self.renewed += self.renewals()[index];
        self.fleet.stop(index);
    }

    /// Kills the leader and waits for another one. Returns the number of calls that may have failed because of it.
    pub(crate) fn kill_leader(&mut self) -> u64 {
        // Otherwise most persistent connections would go to the other replica, if it is older.
        self.stop(1 - self.leader());
        let leader = self.leader();
        self.renewed += self.renewals()[leader];
        self.fleet.kill(leader, |fleet| {
            wait_until("another leads", || leaders(fleet).len() == 1);
        })
    }

    /// Applies the manifests of a release, and uses it for the replicas that are started next.
    pub(crate) fn apply(&mut self, release: &Release) {
        apply(self.plane, release);
        let port = at(&stored(self.plane, "api", "service"), "/spec/ports/0/port").as_u64();
        if port != Some(self.service.port().into()) {
            move_to(self.plane, self.service.port());
        }
        self.overwrite("timeoutSeconds", &json!(30));
        let flags: Vec<_> = self.flags.iter().map(String::as_str).collect();
        self.fleet.release(&release.program, own_arguments(&stored(self.plane, "apis/apps", "deployment"), &flags));
    }

    /// The number of changes to the webhooks of the validating configuration.
    pub(crate) fn generation(&self) -> Value {
        let path = paths().into_iter().find(|path| path.contains("/validating")).expect("there is one");
        at(&self.plane.api.get(&path).body, "/metadata/generation").clone()
    }

    /// Replaces both replicas as a rolling update does.
    pub(crate) fn roll(&mut self) {
        self.fleet.roll();
    }

    /// Kills a replica, and replaces it after `meanwhile`. Returns the number of calls that may have failed because of
    /// it.
    pub(crate) fn kill(&mut self, meanwhile: impl FnOnce()) -> u64 {
        self.fleet.kill(0, |_| meanwhile())
    }

    pub(crate) fn fleet(&self) -> &Fleet {
        &self.fleet
    }

    pub(crate) fn fleet_mut(&mut self) -> &mut Fleet {
        &mut self.fleet
    }

    /// The number of times that a replica has replaced its leaf certificate.
    pub(crate) fn renewed(&self) -> u64 {
        self.renewed + self.renewals().iter().sum::<u64>()
    }

    /// The CA certificates in both configurations.
    pub(crate) fn bundles(&self) -> Vec<Value> {
        self.hooks().iter().map(|hook| at(hook, "/clientConfig/caBundle").clone()).collect()
    }

    /// The CA certificates in the validating configuration.
    pub(crate) fn failure_policy(&self) -> String {
        let hooks = self.hooks();
        let validating = hooks.iter().find(|hook| text(hook, "/name").starts_with("validate."));
        text(validating.expect("there is one"), "/failurePolicy").to_owned()
    }

    /// Overwrites a field of both webhooks, as another client.
    pub(crate) fn overwrite(&self, field: &str, value: &Value) {
        let patch = json!([{"op": "replace", "path": format!("/webhooks/0/{field}"), "value": value}]);
        for path in paths() {
            let patched = self.plane.api.patch(&path, "json", &patch);
            assert_eq!(patched.status, 200, "{patched:#?}");
        }
    }

    fn hooks(&self) -> Vec<Value> {
        paths().iter().map(|path| at(&self.plane.api.get(path).body, "/webhooks/0").clone()).collect()
    }

    pub(crate) fn stage(&self) -> Stage {
        let secret = format!("/api/v1/namespaces/{NAME}/secrets/{NAME}-authority");
        let secret = self.plane.api.get(&secret).body;
        let has = |key: &str| secret["data"][key].is_string();
        match (has("next.crt"), has("old.crt")) {
            (true, _) => Stage::Overlap,
            (false, true) => Stage::Signing,
            (false, false) => Stage::Steady,
        }
    }

    /// The index of the leader, once there is one.
    fn leader(&self) -> usize {
        let mut found = Vec::new();
        wait_until("one leads", || {
            found = leaders(&self.fleet);
            found.len() == 1
        });
        found[0]
    }

    /// The first leaf certificate of a replica replaces none.
    fn renewals(&self) -> Vec<u64> {
        let replaced = self.fleet.metric("certificate_reloads_total{result=\"success\"}");
        replaced.into_iter().map(|count| count.saturating_sub(1)).collect()
    }
}

fn leaders(fleet: &Fleet) -> Vec<usize> {
    let leading = fleet.metric("leading");
    leading.iter().enumerate().filter(|(_, leads)| **leads == 1).map(|(index, _)| index).collect()
}

/// The arguments of the Deployment with these flags and free ports.
fn own_arguments(deployment: &Value, flags: &[&str]) -> Vec<String> {
    let given = arguments(deployment, Path::new("/nonexistent"), ([127, 0, 0, 1], 0).into());
    with_flags(given, flags)
}

fn address(plane: &ControlPlane, service: &Value) -> SocketAddr {
    service_address(service, |port| move_to(plane, port))
}

/// Changes the port at which the API server calls the Service.
fn move_to(plane: &ControlPlane, port: u16) {
    let patch = |path: &str, operation: &str, field: &str| {
        let patched = plane.api.patch(path, "json", &json!([{"op": operation, "path": field, "value": port}]));
        assert_eq!(patched.status, 200, "{patched:#?}");
    };
    patch(&format!("/api/v1/namespaces/{NAME}/services/{NAME}"), "replace", "/spec/ports/0/port");
    for path in paths() {
        patch(&path, "add", "/webhooks/0/clientConfig/service/port");
    }
}

fn apply(plane: &ControlPlane, release: &Release) {
    let applied = plane.kubectl().args(["apply", "-k"]).arg(&release.manifests).output().expect("kubectl can be run");
    assert!(applied.status.success(), "{}", String::from_utf8_lossy(&applied.stderr));
}

fn stored(plane: &ControlPlane, group: &str, kind: &str) -> Value {
    let answer = plane.api.get(&format!("/{group}/v1/namespaces/{NAME}/{kind}s/{NAME}"));
    assert_eq!(answer.status, 200, "{answer:#?}");
    answer.body
}

/// The URL path of the configurations.
fn paths() -> Vec<String> {
    configurations().iter().map(|configuration| format!("{}/{NAME}", collection(configuration))).collect()
}
