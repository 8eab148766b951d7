//! A shared timer for the many short timeouts of reviews.
//!
//! Written by hand, because a timer of tokio for each timeout costs a system call when it becomes the next one due.

use std::{
    pin::pin,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{Instant, sleep, sleep_until},
};

/// A clock that ticks while a task waits for it, as one timer for all timeouts.
///
/// A new tokio timer that is due before all others wakes the sleeping thread: one system call per timeout, although nearly all
/// waits end within microseconds. A tick replaces these timers. A task that still waits after a tick gets a timer of its own,
/// so that a tick does not wake thousands of stalled tasks.
#[derive(Default)]
pub(super) struct CoarseTimer {
    waiting: AtomicUsize,
    begun: Notify,
    tick: Notify,
}

/// Counts a waiting task until dropped.
struct Waiting<'t>(&'t CoarseTimer);

/// How late a timeout may fire: half of the shortest one, and nothing next to one of seconds.
const TICK: Duration = Duration::from_millis(10);

/// Ticks without a waiting task before the clock stops: one second, so that not every review starts it again.
const IDLE: u32 = 100;

impl CoarseTimer {
    /// Ticks until dropped.
    pub(super) async fn run(&self) {
        let mut idle = 0;
        loop {
            if idle == IDLE {
                self.begun.notified().await;
            }
            sleep(TICK).await;
            idle = if self.waiting.load(Ordering::Relaxed) == 0 { (idle + 1).min(IDLE) } else { 0 };
            self.tick.notify_waiters();
        }
    }

    /// Waits until the instant, or up to a tick longer.
    pub(super) async fn until(&self, instant: Instant) {
        if Instant::now() < instant {
            self.tick().await;
            sleep_until(instant).await;
        }
    }

    async fn tick(&self) {
        if self.waiting.fetch_add(1, Ordering::Relaxed) == 0 {
            self.begun.notify_one();
        }
        let _waiting = Waiting(self);
        self.tick.notified().await;
    }

    /// The output of `future`, or none if the instant comes first.
    pub(super) async fn timeout_at<T>(&self, instant: Instant, future: impl Future<Output = T>) -> Option<T> {
        let mut until = pin!(self.until(instant));
        let mut future = pin!(future);
        tokio::select! {
            biased;
            value = &mut future => Some(value),
            () = &mut until => None,
        }
    }

    /// The output of `future`, or none if this time passes first.
    pub(super) async fn timeout<T>(&self, time: Duration, future: impl Future<Output = T>) -> Option<T> {
        self.timeout_at(Instant::now() + time, future).await
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::{future::poll_fn, pin::pin, sync::Arc};

    use tokio::{runtime, time::Instant};

    use super::{CoarseTimer, TICK};

    #[test]
    fn a_long_wait_is_not_woken_by_every_tick() {
        const COUNT: u32 = 20;
        let runtime = runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let timer = Arc::new(CoarseTimer::default());
        let ticking = Arc::clone(&timer);
        runtime.spawn(async move { ticking.run().await });
        let mut polls = 0;
        runtime.block_on(async {
            let end = Instant::now() + TICK * COUNT;
            let mut until = pin!(timer.until(end));
            poll_fn(|context| {
                polls += 1;
                until.as_mut().poll(context)
            })
            .await;
            assert!(Instant::now() >= end);
        });
        assert!(polls < COUNT / 2, "{polls}");
    }
}
