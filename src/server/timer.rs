//! Waiting no longer than until some instant, without a timer for every wait.

use std::{
    pin::pin,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{Instant, sleep, sleep_until},
};

/// A clock that ticks while somebody waits for it.
///
/// A timer of tokio's that is due before all others wakes the thread that sleeps until the next of them: a system call for each
/// of a review's waits, nearly all of which are over in microseconds. A tick is a timer for all. Who waits on after it has one
/// of its own: a tick wakes all who wait for it, and those that stall are thousands.
#[derive(Default)]
pub(super) struct CoarseTimer {
    waiting: AtomicUsize,
    begun: Notify,
    tick: Notify,
}

/// Who waits for a tick, for as long as it is there.
struct Waiting<'t>(&'t CoarseTimer);

/// How late a wait may end: nothing to one of seconds, and a half of the shortest.
const TICK: Duration = Duration::from_millis(10);

/// Ticks for nobody before the clock stops, so that reviews by turns do not start it each time: a second's.
const IDLE: u32 = 100;

impl CoarseTimer {
    /// Ticks, for as long as it is polled.
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

    /// Waits until the instant, or the first tick after it.
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

    /// What `future` gives, unless the instant comes first.
    pub(super) async fn timeout_at<T>(&self, instant: Instant, future: impl Future<Output = T>) -> Option<T> {
        let mut until = pin!(self.until(instant));
        let mut future = pin!(future);
        tokio::select! {
            biased;
            value = &mut future => Some(value),
            () = &mut until => None,
        }
    }

    /// What `future` gives, unless that much time passes first.
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
    fn who_waits_long_is_not_woken_by_each_tick() {
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
