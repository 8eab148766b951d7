//! Many concurrent writers of profiles, while something happens to the webhook.

use std::{
    mem,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{
    api::Response,
    profiles::{Profiles, bad, is_filled_in},
    wait::wait_until,
};

/// Fifty writers that alternate between valid and invalid profiles, and the results of their writes.
pub struct Writers<'c> {
    profiles: Profiles<'c>,
    good: fn(&str) -> Value,
    pace: Duration,
    stop: AtomicBool,
    turns: AtomicUsize,
    accepted: AtomicUsize,
    failed: Mutex<Vec<Response>>,
    longest_micros: AtomicU64,
    took: Mutex<Vec<Duration>>,
}

impl<'c> Writers<'c> {
    /// In a turn, each writer creates the profile `good(name)` and an invalid one. Turns begin at the same moments,
    /// `pace` apart.
    pub fn new(profiles: Profiles<'c>, good: fn(&str) -> Value, pace: Duration) -> Self {
        Self {
            profiles,
            good,
            pace,
            stop: AtomicBool::new(false),
            turns: AtomicUsize::new(0),
            accepted: AtomicUsize::new(0),
            failed: Mutex::default(),
            longest_micros: AtomicU64::new(0),
            took: Mutex::default(),
        }
    }

    /// Writes until `meanwhile` returns.
    pub fn write(&self, meanwhile: impl FnOnce()) {
        /// The API server keeps 25 connections, so with 50 writers some need a new handshake in each turn.
        const WRITERS: usize = 50;
        /// One test writes at a time. With three, an API server on two cores responds too late for a leader to keep its
        /// Lease.
        static TURN: Mutex<()> = Mutex::new(());
        let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let started = Instant::now();
        self.stop.store(false, Ordering::Relaxed);
        thread::scope(|scope| {
            for _ in 0..WRITERS {
                scope.spawn(|| self.write_until_stopped(started));
            }
            let _stop = Stop(&self.stop);
            meanwhile();
        });
    }

    fn write_until_stopped(&self, started: Instant) {
        /// Far more than a rotation needs.
        const MOST: usize = 50_000;
        while !self.stop.load(Ordering::Relaxed) {
            let turn = self.turns.fetch_add(1, Ordering::Relaxed);
            assert!(turn < MOST, "they are not stopped");
            let created = self.create(&(self.good)(&format!("good-{turn}")));
            if created.status == 201 && is_filled_in(&created) {
                self.accepted.fetch_add(1, Ordering::Relaxed);
            } else {
                self.note(created);
            }
            let denied = self.create(&bad(&format!("bad-{turn}"), turn));
            if denied.status != 422 {
                self.note(denied);
            }
            self.wait_for_turn(started);
        }
    }

    fn create(&self, profile: &Value) -> Response {
        let started = Instant::now();
        let answer = self.profiles.create(profile);
        let took = started.elapsed();
        self.took.lock().expect("no writer panics").push(took);
        let micros = took.as_micros().try_into().unwrap_or(u64::MAX);
        self.longest_micros.fetch_max(micros, Ordering::Relaxed);
        answer
    }

    fn wait_for_turn(&self, started: Instant) {
        let Some(passed) = started.elapsed().as_nanos().checked_rem(self.pace.as_nanos()) else { return };
        let passed = Duration::from_nanos(passed.try_into().expect("it is less than the pace"));
        thread::park_timeout(self.pace.saturating_sub(passed));
    }

    fn note(&self, answer: Response) {
        self.failed.lock().expect("no writer panics").push(answer);
    }

    /// The responses since the last call that were wrong: a valid profile was not stored, or an invalid one not denied.
    pub fn take_failed(&self) -> Vec<Response> {
        mem::take(&mut self.failed.lock().expect("no writer panics"))
    }

    /// The longest time of a write since the last call.
    pub fn take_longest(&self) -> Duration {
        Duration::from_micros(self.longest_micros.swap(0, Ordering::Relaxed))
    }

    /// The 99th percentile of the times of writes since the last call.
    pub fn take_p99(&self) -> Duration {
        let mut took = mem::take(&mut *self.took.lock().expect("no writer panics"));
        took.sort_unstable();
        took.get(took.len() * 99 / 100).copied().unwrap_or_default()
    }

    /// Waits until each writer has had about two more turns.
    pub fn go_on(&self) {
        const TURNS: usize = 100;
        let before = self.turns.load(Ordering::Relaxed);
        wait_until("the writers write", || self.turns.load(Ordering::Relaxed) > before + TURNS);
    }

    /// Asserts that exactly the accepted profiles are stored.
    pub fn assert_stored_what_was_accepted(&self) {
        let names = self.profiles.names();
        assert!(names.iter().all(|name| name.starts_with("good-")), "{names:?}");
        assert_eq!(names.len(), self.accepted.load(Ordering::Relaxed));
    }
}

/// Stops the writers when it is dropped, also if the test fails.
struct Stop<'s>(&'s AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
