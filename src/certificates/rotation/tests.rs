//! Simulated rotations: a simulated clock, with leaders that may crash after each action.

use std::time::Duration;

use jiff::Timestamp;
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
use time::OffsetDateTime;

use super::{Action, Lifetimes, Rotation, Step};
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

/// A simulated cluster, with a replica that renews its certificate as late as possible.
struct World {
    now: Timestamp,
    secret: Data,
    bundles: Vec<Bundle>,
    /// The CA of the serving certificate, and when that certificate expires.
    served: Option<(Certificate, Timestamp)>,
    confirmed: Option<Certificate>,
    /// Whether a new leader does each action.
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

    /// A cluster that has run for a day.
    fn settled() -> Self {
        let mut world = Self::new();
        world.pass(DAY);
        world.steps.clear();
        world
    }

    fn state(&self) -> State {
        State::read(&self.secret).0
    }

    /// Does the next action. False if that is to wait.
    fn act(&mut self) -> bool {
        let state = self.state();
        if self.crashes {
            self.confirmed = None;
        }
        let live: Vec<_> = self.bundles.iter().collect();
        let rotation =
            Rotation { live: &live, confirmed: self.confirmed.as_ref(), now: self.now, lifetimes: LIFETIMES };
        let action = rotation.next(&state);
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
            // The leader may crash between two configurations.
            Action::Publish(bundle) => {
                let first = self.bundles.iter_mut().find(|live| **live != bundle);
                *first.expect("a bundle differs from the one to publish") = bundle;
            }
            Action::Wait(due) => {
                assert!(due > self.now, "the leader would loop");
                return false;
            }
        }
        true
    }

    /// Acts until nothing is due. Checks after each action that the serving certificate is trusted.
    fn act_all(&mut self) {
        for _ in 0..30 {
            if !self.act() {
                return;
            }
            self.serve();
        }
        panic!("the rotation does not end: {:?}", self.steps);
    }

    /// What the replica does: it serves only a trusted certificate, and renews as late as possible.
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

    /// Passes time. The leader runs every hour, and every minute during a rotation.
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
        self.state().current.expect("there is a current CA").certificate
    }
}

#[test]
fn the_first_ca_signs_at_once() {
    let mut world = World::new();
    world.act_all();
    assert_eq!(world.steps, [Step::Made, Step::Trusted, Step::Promoted]);
    assert!(world.served.is_some() && world.state().old.is_empty());
    assert_eq!(world.bundles, vec![world.state().bundle(); 2]);
    assert!(!world.act(), "nothing is left to do");
}

#[test]
fn every_rotation_overlaps_even_if_leaders_crash() {
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
            assert!(world.now >= promoted + LIFETIMES.leaf, "its leaf certificates are valid that long");
            assert_eq!(world.steps, [Step::Made, Step::Trusted, Step::Promoted, Step::Removed]);
            assert_eq!(world.bundles, vec![Bundle(vec![world.trusted()]); 2]);
            world.steps.clear();
        }
    }
}

#[test]
fn a_jump_of_the_clock_past_all_lifetimes_makes_a_new_ca_at_once() {
    let mut world = World::settled();
    let old = world.trusted();
    world.now += 400 * DAY;
    world.served = None;
    world.act_all();
    assert_eq!(world.steps, [Step::Made, Step::Trusted, Step::Promoted]);
    assert_ne!(world.trusted(), old);
    assert!(world.served.is_some());
}

/// A name, and how another writer damages the Secret.
type Damage<'d> = (&'d str, Box<dyn Fn(&mut World) + 'd>);

#[test]
fn a_damaged_secret_is_replaced_by_a_rotation() {
    let other = Ca::make(World::settled().now, LIFETIMES.ca).unwrap();
    let expired = Ca::make(World::settled().now - 10 * DAY, DAY).unwrap();
    let leaf = CertificateParams::new(["a".to_owned()]).unwrap();
    let leaf_key = KeyPair::generate().unwrap();
    let leaf = leaf.self_signed(&leaf_key).unwrap().pem();
    let damages: [Damage<'_>; 7] = [
        ("emptied", Box::new(|world| world.secret.clear())),
        ("torn", Box::new(|world| world.put("ca.key", other.key()))),
        ("half", Box::new(|world| drop(world.secret.remove("ca.key")))),
        ("garbage", Box::new(|world| world.put("ca.crt", "garbage"))),
        (
            "not a CA",
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
    for (name, damage) in damages {
        for crashes in [false, true] {
            let mut world = World::settled();
            world.crashes = crashes;
            let old = world.trusted();
            damage(&mut world);
            world.act_all();
            assert_eq!(world.steps, [Step::Made, Step::Trusted], "{name}: the overlap has not passed");
            assert!(
                world.bundles.iter().all(|bundle| bundle.contains(&old)),
                "{name}: the serving certificate is trusted"
            );
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
fn a_secret_lost_during_a_rotation_loses_no_trust() {
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
fn an_overwritten_bundle_is_published_again() {
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
    // A new leader assumes that both were trusted, and keeps both.
    world.crashes = true;
    world.bundles = vec![other.clone(); 2];
    while world.act() {}
    assert!(world.bundles.iter().all(|bundle| bundle.contains(&expected[0].0[0]) && bundle.contains(&other.0[0])));
}

#[test]
fn many_foreign_cas_in_a_bundle_lose_no_trust_even_with_an_emptied_secret() {
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
        assert!(world.bundles[0].0.len() < 20, "the bundle stays short");
    }
}

#[test]
fn repeated_damage_loses_no_trust() {
    let other = Ca::make(World::settled().now, LIFETIMES.ca).unwrap();
    for crashes in [false, true] {
        let mut world = World::settled();
        world.crashes = crashes;
        for _ in 0..10 {
            // A replica renews when its CA was replaced.
            world.served = None;
            world.serve();
            world.put("ca.crt", &other.certificate.pem());
            world.put("ca.key", other.key());
            world.pass(HOUR);
        }
        assert!(world.bundles[0].0.len() <= 10, "the bundle stays short");
    }
}

#[test]
fn a_ca_at_the_end_of_the_time_range_causes_no_panic() {
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
fn a_next_ca_removed_from_a_bundle_waits_for_a_new_overlap() {
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
fn missing_configurations_block_no_rotation() {
    let mut world = World::new();
    world.bundles.clear();
    world.act_all();
    assert_eq!(world.steps, [Step::Made, Step::Trusted, Step::Promoted]);
    world.bundles = vec![Bundle::default()];
    while world.act() {}
    assert_eq!(world.bundles, [world.state().bundle()]);
}

#[test]
fn a_clock_set_back_loses_no_trust() {
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
