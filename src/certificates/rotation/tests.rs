//! Rotations by a clock of the test's own, each action by a leader that remembers nothing, or is about to crash.

use std::time::Duration;

use jiff::Timestamp;
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
use time::OffsetDateTime;

use super::{Action, Lifetimes, Step, next};
use crate::certificates::{
    bundle::Bundle,
    ca::{Ca, Certificate},
    state::{Data, Next, State},
};

const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);
const LIFETIMES: Lifetimes = Lifetimes {
    leaf: Duration::from_hours(7 * 24),
    ca: Duration::from_hours(60 * 24),
    overlap: Duration::from_mins(2),
};

/// What a cluster holds, and what a replica serves that never renews before it must.
struct World {
    now: Timestamp,
    secret: Data,
    bundles: Vec<Bundle>,
    /// By whom it was signed, and until when it is valid.
    served: Option<(Certificate, Timestamp)>,
    confirmed: Option<Certificate>,
    /// Whether each action is another leader's.
    crashes: bool,
    steps: Vec<Step>,
}

impl World {
    fn new() -> Self {
        Self {
            now: "2026-11-24T12:00:00Z".parse().unwrap(),
            secret: Data::new(),
            bundles: vec![Bundle::default(); 2],
            served: None,
            confirmed: None,
            crashes: false,
            steps: Vec::new(),
        }
    }

    /// One that has run for a day.
    fn settled() -> Self {
        let mut world = Self::new();
        world.pass(DAY);
        world.steps.clear();
        world
    }

    fn state(&self) -> State {
        State::read(&self.secret).0
    }

    /// Does the next action; false where that is to wait.
    fn act(&mut self) -> bool {
        let state = self.state();
        if self.crashes {
            self.confirmed = None;
        }
        let live: Vec<_> = self.bundles.iter().collect();
        let action = next(&state, &live, self.confirmed.as_ref(), self.now, LIFETIMES);
        let current = state.current.as_ref().map(|current| &current.certificate);
        let is_kept = !matches!(&action, Action::Store(_, None));
        if let Some(current) = current.filter(|current| is_kept && live.iter().any(|bundle| bundle.contains(current))) {
            self.confirmed = Some(current.clone());
        }
        match action {
            Action::Make(mut state) => {
                let ca = Ca::make(self.now, LIFETIMES.ca).unwrap();
                state.next = Some(Next { ca, trusted_since: None });
                self.secret = state.write();
                self.steps.push(Step::Made);
            }
            Action::Store(state, step) => {
                self.secret = state.write();
                self.steps.extend(step);
            }
            // A crash may come between one configuration and the next.
            Action::Publish(bundle) => {
                let first = self.bundles.iter_mut().find(|live| **live != bundle);
                *first.expect("nothing is published that is there") = bundle;
            }
            Action::Wait(due) => {
                assert!(due > self.now, "it would be asked again at once");
                return false;
            }
        }
        true
    }

    /// Acts until there is nothing to do now. What is served is trusted after each action.
    fn act_all(&mut self) {
        for _ in 0..30 {
            if !self.act() {
                return;
            }
            self.serve();
        }
        panic!("it never ends: {:?}", self.steps);
    }

    /// As a replica does: what is trusted, and as late as can be.
    fn serve(&mut self) {
        let current = self.state().current.filter(|current| current.certificate.is_valid(self.now));
        let trusted = current.filter(|current| self.bundles.iter().all(|bundle| bundle.contains(&current.certificate)));
        let is_due = self.served.as_ref().is_none_or(|(_, until)| self.now + HOUR >= *until);
        if let Some(current) = trusted.filter(|_| is_due) {
            let until = (self.now + LIFETIMES.leaf).min(current.certificate.not_after());
            self.served = Some((current.certificate, until));
        }
        if let Some((ca, until)) = &self.served {
            let is_trusted = self.bundles.iter().all(|bundle| bundle.contains(ca));
            assert!(
                is_trusted && ca.is_valid(self.now) && self.now <= *until,
                "{:?} at {}: {is_trusted} {ca:?} {until}",
                self.steps,
                self.now
            );
        }
    }

    /// Time goes by, in which a leader looks each hour, and each minute where a step is due.
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.act_all();
            let is_rotating = self.state().next.is_some();
            self.now += if is_rotating { Duration::from_mins(1) } else { HOUR };
            self.serve();
        }
        self.act_all();
    }

    fn put(&mut self, name: &str, text: &str) {
        self.secret.insert(name.to_owned(), text.as_bytes().to_vec());
    }

    fn trusted(&self) -> Certificate {
        self.state().current.expect("one signs").certificate
    }
}

#[test]
fn the_first_authority_signs_at_once() {
    let mut world = World::new();
    world.act_all();
    assert_eq!(world.steps, [Step::Made, Step::Trusted, Step::Promoted]);
    assert!(world.served.is_some() && world.state().old.is_empty());
    assert_eq!(world.bundles, vec![world.state().bundle(); 2]);
    assert!(!world.act(), "then there is nothing to do");
}

#[test]
fn every_rotation_overlaps_whoever_leads() {
    for crashes in [false, true] {
        let mut world = World::settled();
        world.crashes = crashes;
        for _ in 0..3 {
            let old = world.trusted();
            while world.steps != [Step::Made, Step::Trusted] {
                world.pass(HOUR / 60);
            }
            let trusted = world.now;
            assert!(old.two_thirds() <= trusted && trusted < old.two_thirds() + 2 * HOUR, "crashes: {crashes}");
            while world.steps.last() == Some(&Step::Trusted) {
                world.pass(HOUR / 60);
            }
            assert!(world.now >= trusted + LIFETIMES.overlap, "crashes: {crashes}");
            assert_eq!(world.state().old.len(), 1);
            let promoted = world.now;
            while world.steps.last() == Some(&Step::Promoted) {
                world.pass(HOUR / 4);
            }
            assert!(world.now >= promoted + LIFETIMES.leaf, "what it has signed is valid for so long");
            assert_eq!(world.steps, [Step::Made, Step::Trusted, Step::Promoted, Step::Removed]);
            assert_eq!(world.bundles, vec![Bundle(vec![world.trusted()]); 2]);
            world.steps.clear();
        }
    }
}

#[test]
fn a_jump_of_the_clock_past_the_end_of_everything_makes_another_authority_at_once() {
    let mut world = World::settled();
    let old = world.trusted();
    world.now += 400 * DAY;
    world.served = None;
    world.act_all();
    assert_eq!(world.steps, [Step::Made, Step::Trusted, Step::Promoted]);
    assert_ne!(world.trusted(), old);
    assert!(world.served.is_some());
}

/// What somebody does to the Secret.
type Harm<'h> = (&'h str, Box<dyn Fn(&mut World) + 'h>);

#[test]
fn what_is_lost_from_the_secret_is_made_anew_as_a_rotation() {
    let other = Ca::make(World::settled().now, LIFETIMES.ca).unwrap();
    let expired = Ca::make(World::settled().now - 10 * DAY, DAY).unwrap();
    let leaf = CertificateParams::new(["a".to_owned()]).unwrap();
    let leaf_key = KeyPair::generate().unwrap();
    let leaf = leaf.self_signed(&leaf_key).unwrap().pem();
    let harms: [Harm<'_>; 7] = [
        ("emptied", Box::new(|world| world.secret.clear())),
        ("torn", Box::new(|world| world.put("ca.key", other.key()))),
        ("half", Box::new(|world| drop(world.secret.remove("ca.key")))),
        ("garbage", Box::new(|world| world.put("ca.crt", "garbage"))),
        (
            "no authority",
            Box::new(|world| {
                world.put("ca.crt", &leaf);
                world.put("ca.key", &leaf_key.serialize_pem());
            }),
        ),
        (
            "expired",
            Box::new(|world| {
                world.put("ca.crt", &expired.certificate.pem());
                world.put("ca.key", expired.key());
            }),
        ),
        (
            "foreign",
            Box::new(|world| {
                world.put("ca.crt", &other.certificate.pem());
                world.put("ca.key", other.key());
            }),
        ),
    ];
    for (name, harm) in harms {
        for crashes in [false, true] {
            let mut world = World::settled();
            world.crashes = crashes;
            let old = world.trusted();
            harm(&mut world);
            world.act_all();
            assert_eq!(world.steps, [Step::Made, Step::Trusted], "{name}: the overlap is waited for");
            assert!(world.bundles.iter().all(|bundle| bundle.contains(&old)), "{name}: what is served is trusted");
            world.pass(HOUR);
            assert_eq!(world.steps.last(), Some(&Step::Promoted), "{name}");
            assert!(world.trusted() != old && world.trusted() != other.certificate, "{name}");
            world.pass(8 * DAY);
            assert_eq!(world.steps.last(), Some(&Step::Removed), "{name}");
            assert_eq!(world.bundles, vec![Bundle(vec![world.trusted()]); 2], "{name}");
        }
    }
}

#[test]
fn the_secret_lost_in_the_middle_of_a_rotation_loses_no_trust() {
    for actions in 1..6 {
        let mut world = World::settled();
        world.now = world.trusted().two_thirds();
        world.served = Some((world.trusted(), world.now + LIFETIMES.leaf));
        for _ in 0..actions {
            world.act();
        }
        world.secret.clear();
        world.act_all();
        world.serve();
        world.pass(10 * DAY);
        assert_eq!(world.bundles, vec![Bundle(vec![world.trusted()]); 2], "after {actions} actions");
    }
}

#[test]
fn an_overwritten_bundle_is_published_again_and_nothing_else_happens() {
    let mut world = World::settled();
    let expected = world.bundles.clone();
    let other = Bundle(vec![Ca::make(world.now, DAY).unwrap().certificate]);
    for overwritten in [&[0][..], &[1], &[0, 1]] {
        for index in overwritten {
            world.bundles[*index] = other.clone();
        }
        while world.act() {}
        assert_eq!((&world.bundles, &world.steps[..]), (&expected, &[][..]));
    }
    // Whoever leads from then on takes both for what was trusted, and loses neither.
    world.crashes = true;
    world.bundles = vec![other.clone(); 2];
    while world.act() {}
    assert!(world.bundles.iter().all(|bundle| bundle.contains(&expected[0].0[0]) && bundle.contains(&other.0[0])));
}

#[test]
fn a_crowd_of_others_in_a_bundle_loses_no_trust_whatever_else_is_lost() {
    let now = World::settled().now;
    let crowd = Bundle((0..20).map(|_| Ca::make(now, DAY).unwrap().certificate).collect());
    for (crashes, is_emptied) in [(true, false), (false, true)] {
        let mut world = World::settled();
        world.crashes = crashes;
        let old = world.trusted();
        world.bundles = vec![crowd.clone(); 2];
        if is_emptied {
            world.secret.clear();
        }
        while world.act() {}
        assert!(world.bundles.iter().all(|bundle| bundle.contains(&old)), "crashes: {crashes}");
        assert!(world.bundles[0].0.len() < 20, "it grows no longer than it must");
    }
}

#[test]
fn harm_again_and_again_loses_no_trust() {
    let other = Ca::make(World::settled().now, LIFETIMES.ca).unwrap();
    for crashes in [false, true] {
        let mut world = World::settled();
        world.crashes = crashes;
        for _ in 0..10 {
            // As a replica does, which renews where its authority was replaced.
            world.served = None;
            world.serve();
            world.put("ca.crt", &other.certificate.pem());
            world.put("ca.key", other.key());
            world.pass(HOUR);
        }
        assert!(world.bundles[0].0.len() <= 10, "it grows no longer than it must");
    }
}

#[test]
fn an_authority_from_the_end_of_time_ends_nobody() {
    let mut params = CertificateParams::new([]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.not_before = OffsetDateTime::from_unix_timestamp(Timestamp::MAX.as_second() - 60).unwrap();
    params.not_after = params.not_before + HOUR / 60 / 2;
    let key = KeyPair::generate().unwrap();
    let mut world = World::new();
    world.bundles.clear();
    world.put("ca.crt", &params.self_signed(&key).unwrap().pem());
    world.put("ca.key", &key.serialize_pem());
    world.act_all();
    assert_eq!(world.steps, [Step::Made, Step::Trusted, Step::Promoted]);
}

#[test]
fn what_is_taken_out_of_a_bundle_while_it_waits_waits_anew() {
    let mut world = World::settled();
    world.now = world.trusted().two_thirds();
    world.served = None;
    world.act_all();
    world.now += LIFETIMES.overlap / 2;
    world.bundles[1] = Bundle::default();
    while world.act() {}
    world.now += LIFETIMES.overlap / 2;
    world.act_all();
    assert_eq!(world.steps, [Step::Made, Step::Trusted, Step::Trusted], "half of it was not trusted");
    world.now += LIFETIMES.overlap / 2;
    world.act_all();
    assert_eq!(world.steps.last(), Some(&Step::Promoted));
}

#[test]
fn configurations_that_are_not_there_hold_nobody_up() {
    let mut world = World::new();
    world.bundles.clear();
    world.act_all();
    assert_eq!(world.steps, [Step::Made, Step::Trusted, Step::Promoted]);
    world.bundles = vec![Bundle::default()];
    while world.act() {}
    assert_eq!(world.bundles, [world.state().bundle()]);
}

#[test]
fn a_clock_that_is_behind_loses_no_trust() {
    let mut world = World::new();
    world.act_all();
    world.steps.clear();
    let (secret, bundles) = (world.secret.clone(), world.bundles.clone());
    world.crashes = true;
    world.now -= HOUR;
    assert!(!world.act(), "{:?}", world.steps);
    assert_eq!((&world.secret, &world.bundles), (&secret, &bundles));
    world.secret.clear();
    while world.act() {}
    assert!(world.bundles.iter().all(|bundle| bundle.contains(&bundles[0].0[0])));
}
