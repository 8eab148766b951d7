//! Changes to the Secret, to permissions and to the leader, while writers write.

use std::{fs, net::SocketAddr, path::PathBuf, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rcgen::KeyPair;
use serde_json::{Value, json};
use testkit::{
    ca::Ca,
    control_plane::ControlPlane,
    page::Section,
    profiles::{Profiles, good},
    replica::Replica,
    wait::wait_until,
    writers::Writers,
};

use super::{
    installed::{self, NAMESPACE, address, serve_managed_at, stored},
    managed::{is_armed, metric},
    manifests::Shell,
};

/// A leaf certificate is renewed after 40 seconds, and when its CA is replaced. On a busy machine the Lease changes
/// hands at any time: no step assumes which replica leads.
const FLAGS: [&str; 3] = ["--leaf-lifetime=60s", "--ca-lifetime=1h", "--ca-overlap=5s"];

pub(crate) fn no_call_fails(plane: &ControlPlane, shell: &Shell) {
    /// 50 writers then create 50 profiles a second.
    const PACE: Duration = Duration::from_secs(2);
    let scripts = Section::page("install").section("Install with kustomize").scripts();
    let [install, ..] = &scripts[..] else { panic!("which are these? {scripts:#?}") };
    shell.be_patient();
    shell.run("kubectl apply -k manifests/crd");
    let reviewed = installed::Profiles::new(plane);
    shell.run(install);
    let serving = Standing::start("serving", address(shell, &stored(plane, "Service")), plane, shell);
    let mut hub = Hub { plane, shell, serving, other: None };
    hub.start_other();
    wait_until("it is armed", || is_armed(plane));
    reviewed.wait_until_reviewed();
    let writers = Writers::new(Profiles::new(plane, &json!({})), good, PACE);
    writers.write(|| {
        let before = hub.renewals();
        wait_until("it is renewed by the clock", || hub.renewals() > before);

        let foreign = Ca::new("foreign");
        let key = STANDARD.encode(KeyPair::generate().expect("a key can be made").serialize_pem());
        let foreign =
            json!({"ca.crt": STANDARD.encode(&foreign.certificate), "ca.key": STANDARD.encode(foreign.key())});
        for (harm, data) in [("torn", json!({"ca.key": key})), ("foreign", foreign)] {
            hub.replaced(harm, &data["ca.crt"], || hub.write(&data));
        }
        let empty = Section::page("certificates").scripts().remove(0);
        hub.replaced("emptied", &json!(null), || drop(shell.run(&empty)));
        hub.replaced("deleted", &json!(null), || assert_eq!(plane.api.delete(&secret()).status, 200));

        let (promoted, renewals) = hub.lose_the_leader_in_the_middle_of_a_rotation();
        wait_until("another leads", || metric(&hub.serving.replica, "leading") == 1);
        wait_until("it goes on", || metric(&hub.serving.replica, PROMOTED) > promoted && hub.renewals() > renewals);

        let failed = metric(&hub.serving.replica, READ);
        shell.run(&format!("kubectl delete rolebinding -n {NAMESPACE} clusterprofile-webhook"));
        // The API server may authorize by the deleted binding for a moment.
        let mut touches = 0..;
        wait_until("it may not read", || {
            hub.touch(touches.next().unwrap_or_default());
            metric(&hub.serving.replica, READ) > failed
        });
        // kubectl warns, because it has not created the Secret itself.
        shell.run(&format!("{install} 2>&1"));
        let renewals = hub.renewals();
        wait_until("it may read again", || hub.renewals() > renewals);
        writers.go_on();
    });
    let failed = writers.take_failed();
    assert!(failed.is_empty(), "{failed:#?}");
    writers.assert_stored_what_was_accepted();
}

const READ: &str = "certificate_failures_total{failure=\"read\"}";
const PROMOTED: &str = "authority_rotation_steps_total{step=\"promoted\"}";

/// A replica and its log.
struct Standing {
    replica: Replica,
    log: PathBuf,
}

impl Standing {
    fn start(name: &str, address: SocketAddr, plane: &ControlPlane, shell: &Shell) -> Self {
        let directory = shell.directory.join(name);
        fs::create_dir_all(&directory).expect("a directory can be made");
        Self { replica: serve_managed_at(address, plane, &directory, &FLAGS), log: directory.join("replica.log") }
    }

    fn lines(&self) -> Vec<Value> {
        let log = fs::read_to_string(&self.log).expect("a replica has a log");
        log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// Its identity in the Lease, once it was elected.
    fn identity(&self) -> Option<String> {
        self.lines().iter().find_map(|line| line["identity"].as_str().map(ToOwned::to_owned))
    }

    fn leads(&self) -> bool {
        metric(&self.replica, "leading") == 1
    }
}

/// The installed webhook: the replica that the Service knows, and another that can lead in its place.
struct Hub<'h> {
    plane: &'h ControlPlane,
    shell: &'h Shell,
    serving: Standing,
    other: Option<Standing>,
}

impl Hub<'_> {
    fn start_other(&mut self) {
        self.other = Some(Standing::start("other", ([127, 0, 0, 1], 0).into(), self.plane, self.shell));
    }

    fn replicas(&self) -> impl Iterator<Item = &Standing> {
        self.other.iter().chain([&self.serving])
    }

    /// The value of a series of each replica.
    fn each(&self, series: &str) -> Vec<u64> {
        self.replicas().map(|standing| metric(&standing.replica, series)).collect()
    }

    fn sum(&self, series: &str) -> u64 {
        self.each(series).iter().sum()
    }

    /// The leader reports damage to the Secret, and a rotation repairs it.
    fn replaced(&self, harm: &str, foreign: &Value, harmed: impl FnOnce()) {
        let failures = || self.sum("certificate_failures_total{failure=\"secret\"}");
        let (failed, promoted, renewals) = (failures(), self.sum(PROMOTED), self.renewals());
        let before = self.read()["ca.crt"].clone();
        let logged: Vec<_> = self.replicas().map(|standing| standing.lines().len()).collect();
        harmed();
        wait_until(harm, || self.sum(PROMOTED) > promoted);
        assert!(failures() > failed, "{harm}: it is counted");
        for (standing, logged) in self.replicas().zip(logged) {
            assert_logged_once(harm, &standing.lines()[logged..]);
        }
        let after = self.read();
        assert!(after["ca.crt"].is_string() && after["ca.crt"] != before && after["ca.crt"] != *foreign, "{harm}");
        wait_until(harm, || self.renewals() > renewals);
    }

    /// Kills the leader once it has begun a rotation. Returns how often the other replica had promoted a CA and renewed
    /// its leaf certificate before.
    fn lose_the_leader_in_the_middle_of_a_rotation(&mut self) -> (u64, u64) {
        /// A slow machine may miss it once, but not every time.
        const ATTEMPTS: usize = 5;
        for _ in 0..ATTEMPTS {
            self.let_other_lead();
            let counted = (metric(&self.serving.replica, PROMOTED), self.renewals());
            self.write(&json!(null));
            wait_until("a rotation has begun", || self.read()["next.crt"].is_string());
            let led = self.other.take().is_some_and(|other| other.leads());
            if led && self.read()["next.crt"].is_string() {
                return counted;
            }
            self.start_other();
        }
        panic!("no leader was killed in the middle of a rotation");
    }

    /// Gives the Lease to the replica that the Service does not know. The identity of a replica that never led is
    /// unknown: then the Lease goes to a holder that does not exist, as often as it takes until that replica wins.
    fn let_other_lead(&self) {
        let lease = format!("/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases/clusterprofile-webhook");
        let other = self.other.as_ref().expect("it runs");
        wait_until("the other leads", || {
            if other.leads() && !self.serving.leads() {
                return true;
            }
            let holder = other.identity();
            if holder.is_some() || self.serving.leads() {
                let holder = holder.unwrap_or_else(|| "no-replica".to_owned());
                self.plane.api.patch(&lease, "merge", &json!({"spec": {"holderIdentity": holder}}));
            }
            false
        });
    }

    fn renewals(&self) -> u64 {
        metric(&self.serving.replica, "certificate_reloads_total{result=\"success\"}")
    }

    fn read(&self) -> Value {
        self.plane.api.get(&secret()).body["data"].clone()
    }

    fn write(&self, data: &Value) {
        self.patch(&json!({"data": data}));
    }

    /// Makes replicas reconcile.
    fn touch(&self, value: u64) {
        self.patch(&json!({"metadata": {"annotations": {"touched": value.to_string()}}}));
    }

    fn patch(&self, patch: &Value) {
        let written = self.plane.api.patch(&secret(), "merge", patch);
        assert_eq!(written.status, 200, "{written:#?}");
    }
}

/// The leader and the replica in one process each log a cause once, and a leader that is elected anew once more.
fn assert_logged_once(harm: &str, lines: &[Value]) {
    let elections = lines.iter().filter(|line| line["identity"].is_string()).count();
    let causes: Vec<_> = lines.iter().filter(|line| line["failure"] == "secret").map(|line| &line["error"]).collect();
    for cause in &causes {
        let logged = causes.iter().filter(|other| other == &cause).count();
        assert!(
            logged <= 2 + elections,
            "{harm}: {cause} is logged {logged} times, with {elections} changes of leadership"
        );
    }
}

fn secret() -> String {
    format!("/api/v1/namespaces/{NAMESPACE}/secrets/clusterprofile-webhook-authority")
}
