//! Install, upgrade, roll back and uninstall the chart, as `docs/install.md` describes.

use std::{fs, thread, time::Duration};

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
    install::is_refused_unseen,
    installed::{self, DRY_RUN, MANAGER, NAMESPACE, finalize, serve, serve_managed},
    managed::{bundles, has_repaired, is_armed, metric},
    manifests::Shell,
};

pub(crate) fn is_installed_upgraded_rolled_back_and_gone(plane: &ControlPlane, shell: &Shell) {
    let page = Section::page("install");
    let scripts = ["Install with Helm", "Uninstall"].map(|heading| page.section(heading).scripts());
    let [[install, wait, label, with_a_pair, upgrade, rollback], [uninstall]] = scripts.each_ref().map(Vec::as_slice)
    else {
        panic!("which are these? {scripts:#?}")
    };
    shell.be_patient();
    shell.run(&page.scripts()[0]); // The definition.
    let profiles = installed::Profiles::new(plane);
    assert_eq!(profiles.create("staying", Some(MANAGER), "").status, 201);
    shell.run(install);
    wait_until("writes pass while no replica serves", || {
        profiles.create("new", Some("another"), DRY_RUN).status == 201
    });
    let replica = serve_managed(plane, shell);
    shell.run(wait);
    shell.run(label);
    profiles.wait_until_reviewed();

    let writers = writers(plane);
    writers.write(|| {
        let hub = Hub { plane, shell, replica: &replica, bundles: bundles(plane), secret: secret(plane) };
        shell.run(upgrade);
        hub.is_unharmed(0);
        hub.stops_at_a_conflict(&rollback.replace(" --force-conflicts", ""));
        shell.run(rollback);
        hub.is_unharmed(1);
        shell.run(&format!("{} --server-side=false", upgrade.trim_end()));
        hub.is_unharmed(1);
        shell.run(&format!("{} --server-side=false", rollback.trim_end().replace(" --force-conflicts", "")));
        hub.is_unharmed(2);
        writers.go_on();
    });
    let failed = writers.take_failed();
    assert!(failed.is_empty(), "{failed:#?}");
    writers.assert_stored_what_was_accepted();

    let (uninstall, delete) = uninstall.split_once('\n').expect("it is two commands");
    // The configurations are deleted before the Service, so the API server never calls a Service that is gone.
    writers.write(|| drop(shell.run(uninstall)));
    let unreviewed = writers.take_failed();
    assert!(unreviewed.iter().all(|answer| answer.status == 201), "{unreviewed:#?}");
    drop(replica);
    nothing_is_left(shell);
    delete_namespace(plane, shell, delete);
    assert_eq!(profiles.create("new", Some("another"), DRY_RUN).status, 201);
    assert_eq!(plane.api.get(&profiles.item("staying")).status, 200);
    with_a_pair_of_ones_own(plane, shell, [with_a_pair, upgrade, uninstall]);
}

fn with_a_pair_of_ones_own(plane: &ControlPlane, shell: &Shell, [install, upgrade, uninstall]: [&str; 3]) {
    let profiles = installed::Profiles::new(plane);
    let authority = Ca::new("a reader's own");
    let pair = authority.server(&["clusterprofile-webhook.clusterprofile-webhook.svc"]);
    for (name, content) in [("ca.crt", &authority.certificate), ("tls.crt", &pair.certificate), ("tls.key", &pair.key)]
    {
        fs::write(shell.directory.join(name), content).expect("a file can be written");
    }
    shell.run(install);
    wait_until("it fails closed", || is_refused_unseen(&profiles.create("new", Some(MANAGER), DRY_RUN)));
    let replica = serve(plane, shell);
    profiles.wait_until_reviewed();
    let trusted = bundles(plane);
    shell.run(upgrade);
    assert_eq!(bundles(plane), trusted);
    drop(replica);
    shell.run(uninstall);
    wait_until("all may be written", || profiles.create("new", Some("another"), DRY_RUN).status == 201);
}

fn writers(plane: &ControlPlane) -> Writers<'_> {
    /// 50 writers then create 50 profiles a second.
    const PACE: Duration = Duration::from_secs(2);
    Writers::new(Profiles::new(plane, &json!({})), good, PACE)
}

/// An armed webhook, and the CAs that it trusted before Helm changed it.
struct Hub<'h> {
    plane: &'h ControlPlane,
    shell: &'h Shell,
    replica: &'h Replica,
    bundles: Vec<Value>,
    secret: Value,
}

impl Hub<'_> {
    /// Asserts that it is armed after `repairs` repairs, with the same CAs.
    fn is_unharmed(&self, repairs: u64) {
        wait_until("it is armed", || {
            has_repaired(self.replica, self.shell, "failure_policy", repairs) && is_armed(self.plane)
        });
        assert_eq!(metric(self.replica, "repairs_total{field=\"ca_bundle\"}"), 0);
        assert_eq!((bundles(self.plane), secret(self.plane)), (self.bundles.clone(), self.secret.clone()));
    }

    fn stops_at_a_conflict(&self, rollback: &str) {
        let printed = self.shell.run(&format!("if {} 2>&1; then exit 1; fi", rollback.trim_end()));
        assert!(printed.contains("Apply failed with 1 conflict") && printed.contains(".failurePolicy"), "{printed}");
        self.is_unharmed(0);
    }
}

fn secret(plane: &ControlPlane) -> Value {
    plane.api.get(&format!("/api/v1/namespaces/{NAMESPACE}/secrets/clusterprofile-webhook-authority")).body["data"]
        .clone()
}

fn nothing_is_left(shell: &Shell) {
    const KINDS: &str = "clusterroles,clusterrolebindings,roles,rolebindings,serviceaccounts,secrets,leases,services,\
        deployments,poddisruptionbudgets,networkpolicies,mutatingwebhookconfigurations,validatingwebhookconfigurations,\
        validatingadmissionpolicies,validatingadmissionpolicybindings";
    let left = shell.run(&format!("kubectl get {KINDS} -A -o name | {{ grep clusterprofile || true; }}"));
    assert_eq!(left, "");
}

fn delete_namespace(plane: &ControlPlane, shell: &Shell, script: &str) {
    thread::scope(|scope| {
        let script = scope.spawn(|| shell.run(script));
        finalize(plane, NAMESPACE);
        script.join().expect("the script ends well");
    });
}
