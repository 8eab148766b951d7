//! What others do to the Secret, to permissions and to the leader, while writers are at it.

use std::{fs, path::PathBuf, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rcgen::KeyPair;
use serde_json::{Value, json};

use super::{
    authority::Authority,
    control_plane::ControlPlane,
    installed::{self, NAMESPACE, address, serve_managed_at, stored},
    managed::{is_armed, metric},
    manifests::Shell,
    profiles::{Profiles, good},
    readme::Section,
    replica::Replica,
    wait::wait_until,
    writers::Writers,
};

/// What is served is renewed every 13 seconds, and where its authority is replaced.
const FLAGS: [&str; 4] = ["--leaf-lifetime=20s", "--ca-lifetime=1h", "--ca-overlap=2s", "--lease-duration=2s"];

pub(crate) fn no_call_fails(plane: &ControlPlane, shell: &Shell) {
    /// 50 writers then send 100 profiles a second.
    const PACE: Duration = Duration::from_secs(1);
    let scripts = Section::page("install").section("With kustomize").scripts();
    let [install, ..] = &scripts[..] else { panic!("which are these? {scripts:#?}") };
    shell.run("kubectl apply -k manifests/crd");
    let reviewed = installed::Profiles::new(plane);
    shell.run(install);
    let start = |name: &str, address| {
        let directory = shell.directory.join(name);
        fs::create_dir_all(&directory).expect("a directory can be made");
        serve_managed_at(address, plane, &directory, &FLAGS)
    };
    // It leads, for nobody else is there.
    let leader = start("leader", ([127, 0, 0, 1], 0).into());
    wait_until("it leads", || metric(&leader, "leading") == 1);
    let serving = start("serving", address(shell, &stored(plane, "Service")));
    wait_until("it is armed", || is_armed(plane));
    reviewed.wait_until_reviewed();
    let hub = Hub { plane, serving: &serving, log: shell.directory.join("leader/replica.log") };
    let writers = Writers::new(Profiles::new(plane, &json!({})), good, PACE);
    writers.write(|| {
        let before = hub.renewals();
        wait_until("it is renewed by the clock", || hub.renewals() > before);

        let foreign = Authority::new("foreign");
        let key = STANDARD.encode(KeyPair::generate().expect("a key can be made").serialize_pem());
        let foreign =
            json!({"ca.crt": STANDARD.encode(&foreign.certificate), "ca.key": STANDARD.encode(foreign.key())});
        for (harm, data) in [("torn", json!({"ca.key": key})), ("foreign", foreign)] {
            hub.replaced(&leader, harm, &data["ca.crt"], || hub.write(&data));
        }
        let empty = Section::page("certificates").scripts().remove(0);
        hub.replaced(&leader, "emptied", &json!(null), || drop(shell.run(&empty)));
        hub.replaced(&leader, "deleted", &json!(null), || {
            assert_eq!(plane.api.delete(&secret()).status, 200);
            wait_until("it is missed", || metric(&leader, READ) > 0 && metric(&serving, READ) > 0);
            shell.run(install);
        });

        // In the middle of a rotation, whose other steps are another's.
        let promoted = metric(&serving, PROMOTED);
        let renewals = hub.renewals();
        hub.write(&json!(null));
        wait_until("a rotation has begun", || hub.read()["next.crt"].is_string());
        drop(leader);
        wait_until("another leads", || metric(&serving, "leading") == 1);
        wait_until("it goes on", || metric(&serving, PROMOTED) > promoted && hub.renewals() > renewals);

        let (failed, renewals) = (metric(&serving, READ), hub.renewals());
        shell.run(&format!("kubectl delete rolebinding -n {NAMESPACE} clusterprofile-webhook"));
        hub.touch();
        wait_until("it may not read", || metric(&serving, READ) > failed);
        shell.run(install);
        wait_until("it may read again", || hub.renewals() > renewals);
        writers.go_on();
    });
    let failed = writers.take_failed();
    assert!(failed.is_empty(), "{failed:#?}");
    writers.assert_stored_what_was_accepted();
}

const READ: &str = "certificate_failures_total{failure=\"read\"}";
const PROMOTED: &str = "authority_rotation_steps_total{step=\"promoted\"}";

/// The installed webhook.
struct Hub<'h> {
    plane: &'h ControlPlane,
    serving: &'h Replica,
    /// The leader's.
    log: PathBuf,
}

impl Hub<'_> {
    /// A harm to the Secret is told of, and a rotation mends it.
    fn replaced(&self, leader: &Replica, harm: &str, foreign: &Value, harmed: impl FnOnce()) {
        let failures = || metric(leader, "certificate_failures_total{failure=\"secret\"}");
        let (failed, promoted, renewals) = (failures(), metric(leader, PROMOTED), self.renewals());
        let (before, told) = (self.read()["ca.crt"].clone(), self.told());
        harmed();
        wait_until(harm, || metric(leader, PROMOTED) > promoted);
        assert!(failures() > failed, "{harm}: it is counted");
        // By who leads and by who serves, which are one process.
        assert!((1..=2).contains(&(self.told() - told)), "{harm}: it is told once, not {} times", self.told() - told);
        let after = self.read();
        assert!(after["ca.crt"].is_string() && after["ca.crt"] != before && after["ca.crt"] != *foreign, "{harm}");
        wait_until(harm, || self.renewals() > renewals);
    }

    /// How many lines of the log say that the Secret cannot be used.
    fn told(&self) -> usize {
        let log = fs::read_to_string(&self.log).expect("the leader has a log");
        log.matches(r#""failure":"secret""#).count()
    }

    fn renewals(&self) -> u64 {
        metric(self.serving, "certificate_reloads_total{result=\"success\"}")
    }

    fn read(&self) -> Value {
        self.plane.api.get(&secret()).body["data"].clone()
    }

    fn write(&self, data: &Value) {
        self.patch(&json!({"data": data}));
    }

    /// Makes replicas look at it.
    fn touch(&self) {
        self.patch(&json!({"metadata": {"annotations": {"touched": "true"}}}));
    }

    fn patch(&self, patch: &Value) {
        let written = self.plane.api.patch(&secret(), "merge", patch);
        assert_eq!(written.status, 200, "{written:#?}");
    }
}

fn secret() -> String {
    format!("/api/v1/namespaces/{NAMESPACE}/secrets/clusterprofile-webhook-authority")
}
