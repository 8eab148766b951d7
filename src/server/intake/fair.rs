//! Sharing an amount between client addresses.

use std::{
    collections::{HashMap, VecDeque},
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{sync::oneshot, time::Instant};

use crate::metrics::{Load, Shed};

/// An amount that is shared between client addresses: room for bodies, or turns for reviews.
///
/// The next part goes to the address that has used the least so far: the amount that it had, times how long it had it. What an
/// address is behind counts up to a limit, so that it cannot save up much. Within an address the oldest request is first. So a
/// client that sends a thousand requests, or some that take long, waits for itself; another waits for what runs now.
///
/// A part that fits does not overtake the one that is next, else a large part would never be free.
pub(in crate::server) struct Fair {
    bounds: Bounds,
    state: Mutex<State>,
}

/// How much there is, and for how many.
#[derive(Clone, Copy)]
pub(in crate::server) struct Bounds {
    /// In all.
    pub(in crate::server) size: usize,
    /// Parts at a time.
    pub(in crate::server) parts: usize,
    /// Parts of one address at a time.
    pub(in crate::server) parts_each: usize,
    /// How many may wait.
    pub(in crate::server) waiting: usize,
}

#[derive(Default)]
struct State {
    used: usize,
    parts: usize,
    waiting: usize,
    /// Counts requests.
    asked: u64,
    /// The most that an address had used when its turn came.
    level: u64,
    /// At how many callers the next look is for those to forget.
    sweep: usize,
    callers: HashMap<IpAddr, Caller>,
}

struct Caller {
    used: usize,
    parts: usize,
    /// What it has used until `since`.
    spent: u64,
    since: Instant,
    waiting: VecDeque<Waiting>,
}

struct Waiting {
    id: u64,
    amount: usize,
    ready: oneshot::Sender<Result<Part, Shed>>,
}

/// A part of the amount, given back when dropped.
pub(in crate::server) struct Part {
    fair: Arc<Fair>,
    peer: IpAddr,
    amount: usize,
}

/// A place in the queue, given up when dropped.
struct Position<'f> {
    fair: &'f Arc<Fair>,
    peer: IpAddr,
    id: u64,
}

impl Fair {
    pub(in crate::server) fn new(bounds: Bounds) -> Self {
        Self { bounds, state: Mutex::default() }
    }

    pub(in crate::server) fn size(&self) -> usize {
        self.bounds.size
    }

    /// How much is taken, and how many wait.
    pub(in crate::server) fn load(&self) -> (Load, Load) {
        let state = self.state();
        let load = |now, most| Load { now, most };
        (load(state.used, self.bounds.size), load(state.waiting, self.bounds.waiting))
    }

    /// So much for this address, or all there is where that is less, once it is there.
    pub(in crate::server) async fn take(self: &Arc<Self>, peer: IpAddr, amount: usize) -> Result<Part, Shed> {
        let amount = amount.min(self.bounds.size);
        let (ready, given) = oneshot::channel();
        let (id, done) = self.state().ask(&self.bounds, Instant::now(), peer, Waiting { id: 0, amount, ready });
        let _place = Position { fair: self, peer, id };
        self.give(done);
        given.await.unwrap_or(Err(Shed::QueueFull))
    }

    /// Hands out parts, and refusals.
    ///
    /// Must not hold the state: a part whose receiver has gone is given back at once.
    fn give(self: &Arc<Self>, done: Vec<Done>) {
        for Done { ready, peer, given } in done {
            let part = given.map(|amount| Part { fair: Arc::clone(self), peer, amount });
            drop(ready.send(part));
        }
    }

    fn give_back(self: &Arc<Self>, peer: IpAddr, amount: usize, parts: usize) {
        let done = self.state().give_back(&self.bounds, Instant::now(), peer, amount, parts);
        self.give(done);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request that leaves the queue, and what it gets.
struct Done {
    ready: oneshot::Sender<Result<Part, Shed>>,
    peer: IpAddr,
    given: Result<usize, Shed>,
}

impl State {
    fn ask(&mut self, bounds: &Bounds, now: Instant, peer: IpAddr, waiting: Waiting) -> (u64, Vec<Done>) {
        self.asked += 1;
        let (id, least) = (self.asked, self.least(bounds));
        let caller = self.callers.entry(peer).or_insert_with(|| Caller::new(now));
        if caller.parts == 0 && caller.waiting.is_empty() {
            caller.spent = caller.spent.max(least);
        }
        caller.waiting.push_back(Waiting { id, ..waiting });
        self.waiting += 1;
        let mut done = self.next(bounds, now);
        if self.waiting > bounds.waiting {
            done.extend(self.turn_away());
        }
        (id, done)
    }

    /// Refuses the newest waiting request of the address that has the most of them.
    fn turn_away(&mut self) -> Option<Done> {
        let last = |caller: &Caller| caller.waiting.back().map(|last| last.id);
        let most = self.callers.iter_mut().max_by_key(|(_, caller)| (caller.waiting.len(), last(caller)));
        let (peer, caller) = most?;
        let Waiting { ready, .. } = caller.waiting.pop_back()?;
        self.waiting -= 1;
        Some(Done { ready, peer: *peer, given: Err(Shed::QueueFull) })
    }

    fn give_back(&mut self, bounds: &Bounds, now: Instant, peer: IpAddr, amount: usize, parts: usize) -> Vec<Done> {
        self.used -= amount;
        self.parts -= parts;
        if let Some(caller) = self.callers.get_mut(&peer) {
            caller.settle(now);
            caller.used -= amount;
            caller.parts -= parts;
        }
        let done = self.next(bounds, now);
        self.forget(bounds);
        done
    }

    /// Takes requests out of the queue for as long as there is a part for the next one.
    fn next(&mut self, bounds: &Bounds, now: Instant) -> Vec<Done> {
        let mut done = Vec::new();
        while self.parts < bounds.parts {
            let waiting = self.callers.iter_mut().filter(|(_, caller)| caller.parts < bounds.parts_each);
            let least = waiting.filter_map(|(peer, caller)| {
                let id = caller.waiting.front()?.id;
                caller.settle(now);
                Some(((caller.spent, id), *peer))
            });
            let Some(((spent, _), peer)) = least.min() else { break };
            let Some(caller) = self.callers.get_mut(&peer) else { break };
            let free = bounds.size - self.used;
            let Some(Waiting { amount, ready, .. }) = caller.waiting.pop_front_if(|next| next.amount <= free) else {
                break;
            };
            caller.used += amount;
            caller.parts += 1;
            self.used += amount;
            self.parts += 1;
            self.waiting -= 1;
            self.level = self.level.max(spent);
            done.push(Done { ready, peer, given: Ok(amount) });
        }
        done
    }

    /// With what a caller begins, as if it had used so much.
    fn least(&self, bounds: &Bounds) -> u64 {
        /// For how long one may have used nothing while another used all, in microseconds, and have that made up for.
        const BEHIND: u64 = 10_000_000;
        self.level.saturating_sub(BEHIND.saturating_mul(bounds.size as u64))
    }

    /// Forgets addresses that have nothing, wait for nothing, and would begin anew with no less than they have used.
    fn forget(&mut self, bounds: &Bounds) {
        /// Few callers are not worth a look.
        const FEW: usize = 64;
        /// Above this number, idle addresses are forgotten all the same.
        const MANY: usize = 16_384;
        if self.callers.len() < self.sweep.max(FEW) {
            return;
        }
        let least = self.least(bounds);
        let is_idle = |caller: &Caller| caller.parts == 0 && caller.used == 0 && caller.waiting.is_empty();
        self.callers.retain(|_, caller| !is_idle(caller) || caller.spent > least);
        if self.callers.len() > MANY {
            self.callers.retain(|_, caller| !is_idle(caller));
        }
        self.sweep = self.callers.len() * 2;
    }
}

impl Caller {
    fn new(now: Instant) -> Self {
        Self { used: 0, parts: 0, spent: 0, since: now, waiting: VecDeque::new() }
    }

    /// Counts what has been used until now.
    fn settle(&mut self, now: Instant) {
        let micros = u64::try_from(now.saturating_duration_since(self.since).as_micros()).unwrap_or(u64::MAX);
        self.spent = self.spent.saturating_add(micros.saturating_mul(self.used as u64));
        self.since = now;
    }
}

impl Part {
    /// Gives back all but so much.
    pub(in crate::server) fn shrink(&mut self, amount: usize) {
        let less = self.amount.saturating_sub(amount);
        self.amount -= less;
        if less > 0 {
            self.fair.give_back(self.peer, less, 0);
        }
    }

    /// Takes over what another part of the same caller has.
    pub(in crate::server) fn merge(&mut self, mut other: Self) {
        self.amount += other.amount;
        other.amount = 0;
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.fair.give_back(self.peer, self.amount, 1);
    }
}

impl Drop for Position<'_> {
    fn drop(&mut self) {
        let mut state = self.fair.state();
        let Some(caller) = state.callers.get_mut(&self.peer) else { return };
        let Some(index) = caller.waiting.iter().position(|waiting| waiting.id == self.id) else { return };
        drop(caller.waiting.remove(index));
        state.waiting -= 1;
        // The request behind it may fit.
        let done = state.next(&self.fair.bounds, Instant::now());
        drop(state);
        self.fair.give(done);
    }
}

#[cfg(test)]
mod tests {
    use std::{net::IpAddr, sync::Arc, time::Duration};

    use futures_util::FutureExt as _;
    use tokio::{sync::oneshot, time::Instant};

    use super::{Bounds, Done, Fair, State, Waiting};
    use crate::metrics::Shed;

    const ONE: Bounds = Bounds { size: 10, parts: 1, parts_each: 1, waiting: 100 };

    fn address(host: u8) -> IpAddr {
        [10, 0, 0, host].into()
    }

    /// In which order they are served who ask at once, each of whom takes a second.
    fn order(state: &mut State, now: &mut Instant, asking: &[u8]) -> Vec<u8> {
        let (mut waiting, mut served, mut receivers) = (Vec::new(), Vec::new(), Vec::new());
        let hosts = |done: Vec<Done>| done.into_iter().map(|done| done.peer).collect::<Vec<_>>();
        for host in asking {
            let (ready, receiver) = oneshot::channel();
            receivers.push(receiver);
            waiting.extend(hosts(state.ask(&ONE, *now, address(*host), Waiting { id: 0, amount: 1, ready }).1));
        }
        while let Some(peer) = waiting.pop() {
            served.extend((0..=u8::MAX).find(|host| address(*host) == peer));
            *now += Duration::from_secs(1);
            waiting.extend(hosts(state.give_back(&ONE, *now, peer, 1, 1)));
        }
        served
    }

    #[test]
    fn one_who_asks_often_waits_for_himself() {
        let (mut state, mut now) = (State::default(), Instant::now());
        assert_eq!(order(&mut state, &mut now, &[1, 1, 1, 1, 2, 3, 2]), [1, 2, 3, 1, 2, 1, 1]);
        now += Duration::from_mins(1);
        let served = order(&mut state, &mut now, &[1, 1, 4, 4]);
        assert_eq!(served.len(), 4);
        assert!(served[..2].contains(&4), "{served:?}");
    }

    #[test]
    fn one_who_comes_now_and_then_waits_for_one_at_the_most() {
        let (mut state, mut now) = (State::default(), Instant::now());
        for _ in 0..3 {
            let served = order(&mut state, &mut now, &[1, 2, 3, 4, 1, 2, 3, 4, 9]);
            assert!(served.iter().position(|host| *host == 9) <= Some(4), "{served:?}");
        }
        let served = order(&mut state, &mut now, &[1, 2, 3, 4, 1, 2, 3, 4, 9]);
        assert_eq!(served.iter().position(|host| *host == 9), Some(1), "{served:?}");
    }

    #[test]
    fn one_address_leaves_a_part_to_others() {
        let fair = Arc::new(Fair::new(Bounds { parts: 2, ..ONE }));
        let first = fair.take(address(1), 1).now_or_never().unwrap();
        assert!(fair.take(address(1), 1).now_or_never().is_none());
        assert!(fair.take(address(2), 1).now_or_never().is_some());
        drop(first);
        assert!(fair.take(address(1), 1).now_or_never().is_some());
    }

    #[test]
    fn what_is_large_is_not_overtaken() {
        let fair = Arc::new(Fair::new(Bounds { parts: 9, parts_each: 9, ..ONE }));
        let six = fair.take(address(1), 6).now_or_never().unwrap();
        let (mut large, mut small) = (Box::pin(fair.take(address(2), 5)), Box::pin(fair.take(address(2), 1)));
        assert!((&mut large).now_or_never().is_none() && (&mut small).now_or_never().is_none());
        drop(six);
        let large = large.now_or_never().unwrap();
        assert!(large.is_ok() && small.now_or_never().is_some());
    }

    #[test]
    fn a_full_queue_turns_the_largest_crowd_away() {
        let fair = Arc::new(Fair::new(Bounds { waiting: 2, ..ONE }));
        let part = fair.take(address(1), 1).now_or_never().unwrap();
        let mut crowd: Vec<_> = (0..2).map(|_| Box::pin(fair.take(address(1), 1))).collect();
        assert!(crowd.iter_mut().all(|waiting| waiting.now_or_never().is_none()));
        let mut other = Box::pin(fair.take(address(2), 1));
        assert!((&mut other).now_or_never().is_none(), "it waits");
        assert_eq!(crowd.pop().unwrap().now_or_never().unwrap().err(), Some(Shed::QueueFull));
        assert_eq!(
            fair.take(address(1), 1).now_or_never().unwrap().err(),
            Some(Shed::QueueFull),
            "its crowd is the largest"
        );
        drop(crowd);
        assert_eq!(fair.load().1.now, 1, "who has gone waits no longer");
        drop(part);
        assert!(other.now_or_never().is_some());
        assert_eq!((fair.load().0.now, fair.load().1.now), (0, 0));
    }
}
