//! Cluster managers write as usual: no write is denied, and no manager writes more often.

use std::{mem, sync::Arc};

use libtest_mimic::Trial;
use serde_json::{Value, json};
use testkit::{control_plane::ControlPlane, profiles::MANAGER};

use super::{
    managers::{MANAGERS, Manager, Passes, Step, want},
    planes::{Crd, Planes},
    writer::{Sent, Writer},
};

pub(crate) fn trials(planes: &Arc<Planes>) -> Vec<Trial> {
    let pairs = Crd::ALL.into_iter().flat_map(|crd| MANAGERS.map(|manager| (crd, manager)));
    let trial = |(crd, manager): (Crd, Manager)| {
        let planes = Arc::clone(planes);
        Trial::test(format!("controllers::{crd:?}::{}", manager.name).to_lowercase(), move || {
            compare(&manager, crd, &planes);
            Ok(())
        })
    };
    pairs.map(trial).collect()
}

/// Runs a manager in a namespace that is reviewed and in one that is not.
fn compare(manager: &Manager, crd: Crd, planes: &Planes) {
    let plane = planes.get(crd);
    let webhook = plane.plain_webhook();
    let reviewed = replay(manager, &plane.control, &webhook.labels());
    let unreviewed = replay(manager, &plane.control, &json!({}));
    for (with, without) in reviewed.rounds.iter().zip(&unreviewed.rounds) {
        let counts = [|_: &Sent| true, |sent: &Sent| sent.changed, |sent: &Sent| sent.status == 409];
        let no_more = counts.into_iter().all(|is| count(with, is) <= count(without, is));
        assert!(no_more, "with the webhook: {}\nwithout: {}", listed(with), listed(without));
    }
    let expected: Vec<_> = unreviewed.stored.into_iter().map(filled_in).collect();
    assert_eq!(reviewed.stored, expected);
    // Fixes from before the deletion remain, and there are no new ones after it.
    assert_eq!(filled_in(reviewed.last), filled_in(unreviewed.last));
}

/// The writes of a manager.
struct Replay {
    /// The writes of the first and of the second pass, and during the deletion.
    rounds: [Vec<Sent>; 3],
    /// The stored profile after each step of the first two.
    stored: Vec<Value>,
    /// The stored profile at the end.
    last: Value,
}

/// Runs all steps twice, then once more while a finalizer of another client keeps the deleted profile.
fn replay(manager: &Manager, control: &ControlPlane, labels: &Value) -> Replay {
    let wanted = manager.steps.iter().find_map(|step| if let Step::Wants(file) = step { Some(file) } else { None });
    let first = wanted.expect("each manager has a desired profile");
    let name = want(first, first)["metadata"]["name"].as_str().expect("a profile has a name").to_owned();
    let mut writer = Writer::new(control, control.namespace(labels), &name);
    let mut stored = Vec::new();
    let take = |writer: &mut Writer<'_>, step: &Step| {
        match step {
            Step::Wants(file) => settle(manager, writer, &want(file, first)),
            Step::Edited(patch) => writer.edit(&serde_json::from_str(patch).expect("a patch is JSON")),
        }
        comparable(writer.read().expect("it was written"))
    };
    let [first_round, second_round] = [(); 2].map(|()| {
        stored.extend(manager.steps.iter().map(|step| take(&mut writer, step)));
        mem::take(&mut writer.sent)
    });
    writer.edit(&json!({"metadata": {"finalizers": ["example.com/kept"]}}));
    writer.delete();
    let last = manager.steps.iter().map(|step| take(&mut writer, step)).last().expect("each has steps");
    writer.edit(&json!({"metadata": {"finalizers": null}}));
    assert_eq!(writer.read(), None, "nothing keeps it any more");
    Replay { rounds: [first_round, second_round, mem::take(&mut writer.sent)], stored, last }
}

/// Runs the loop of the manager until it has nothing to write; or twice, if it always writes.
fn settle(manager: &Manager, writer: &mut Writer<'_>, want: &Value) {
    /// More than any manager needs: labels, the status after a conflict, a last check.
    const MOST: usize = 4;
    if manager.passes == Passes::Always {
        (manager.pass)(writer, want);
        (manager.pass)(writer, want);
        return;
    }
    for _ in 0..MOST {
        let sent = writer.sent.len();
        (manager.pass)(writer, want);
        if writer.sent.len() == sent {
            return;
        }
    }
    panic!("{} does not stop writing: {}", manager.name, listed(&writer.sent));
}

fn count(round: &[Sent], is: fn(&Sent) -> bool) -> usize {
    round.iter().filter(|sent| is(sent)).count()
}

fn listed(round: &[Sent]) -> String {
    let lines = round.iter().map(|sent| format!("{} {}, changed: {}", sent.what, sent.status, sent.changed));
    lines.collect::<Vec<_>>().join("\n")
}

/// Removes fields that differ between any two profiles.
fn comparable(mut profile: Value) -> Value {
    let metadata = profile["metadata"].as_object_mut().expect("a profile has metadata");
    for field in ["namespace", "uid", "resourceVersion", "creationTimestamp", "deletionTimestamp", "managedFields"] {
        metadata.remove(field);
    }
    profile
}

/// Adds the defaults of the webhook.
fn filled_in(mut profile: Value) -> Value {
    let manager = profile["spec"]["clusterManager"]["name"].clone();
    let labels = &mut profile["metadata"]["labels"];
    if labels[MANAGER].is_null() {
        labels[MANAGER] = manager;
    }
    if profile["spec"]["displayName"].is_null() {
        profile["spec"]["displayName"] = profile["metadata"]["name"].clone();
    }
    profile
}
