//! Many writers of profiles at once, for as long as something happens to the webhook.

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

use super::{
    api::Answer,
    profiles::{Profiles, bad, is_filled_in},
    wait::wait_until,
};

/// Writers of profiles, each of a good one and a bad one in turn, and what became of them.
pub(crate) struct Writers<'c> {
    profiles: Profiles<'c>,
    good: fn(&str) -> Value,
    pace: Duration,
    stop: AtomicBool,
    turns: AtomicUsize,
    accepted: AtomicUsize,
    failed: Mutex<Vec<Answer>>,
    longest_micros: AtomicU64,
    took: Mutex<Vec<Duration>>,
}

impl<'c> Writers<'c> {
    /// All take a turn at the same moments, which are `pace` apart.
    pub(crate) fn new(profiles: Profiles<'c>, good: fn(&str) -> Value, pace: Duration) -> Self {
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

    /// Writes until `meanwhile` is done.
    pub(crate) fn write(&self, meanwhile: impl FnOnce()) {
        /// The API server keeps 25 connections: for some of so many, each turn begins with a handshake.
        const WRITERS: usize = 50;
        /// One story's writers at a time: with those of three, an API server on two cores answers so late that no leader keeps
        /// its Lease.
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
        /// Far more than a rotation takes.
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

    fn create(&self, profile: &Value) -> Answer {
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

    fn note(&self, answer: Answer) {
        self.failed.lock().expect("no writer panics").push(answer);
    }

    /// What was not as it must be, since the last call.
    pub(crate) fn take_failed(&self) -> Vec<Answer> {
        mem::take(&mut self.failed.lock().expect("no writer panics"))
    }

    /// The longest that a write has taken, since the last call.
    pub(crate) fn take_longest(&self) -> Duration {
        Duration::from_micros(self.longest_micros.swap(0, Ordering::Relaxed))
    }

    /// In which time 99 of a hundred writes were answered, since the last call.
    pub(crate) fn take_p99(&self) -> Duration {
        let mut took = mem::take(&mut *self.took.lock().expect("no writer panics"));
        took.sort_unstable();
        took.get(took.len() * 99 / 100).copied().unwrap_or_default()
    }

    /// Waits until each has had about two turns more.
    pub(crate) fn go_on(&self) {
        const TURNS: usize = 100;
        let before = self.turns.load(Ordering::Relaxed);
        wait_until("the writers write", || self.turns.load(Ordering::Relaxed) > before + TURNS);
    }

    pub(crate) fn assert_stored_what_was_accepted(&self) {
        let names = self.profiles.names();
        assert!(names.iter().all(|name| name.starts_with("good-")), "{names:?}");
        assert_eq!(names.len(), self.accepted.load(Ordering::Relaxed));
    }
}

/// Tells the writers to stop, also where the test fails.
struct Stop<'s>(&'s AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
