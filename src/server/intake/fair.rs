//! Fair sharing of a resource between client addresses.

use std::{
    collections::{HashMap, VecDeque},
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{sync::oneshot, time::Instant};

use crate::server::metrics::{Load, Shed};

/// A resource that is shared between client addresses: memory for bodies, or turns for reviews.
///
/// The next part goes to the address with the least use so far, where use is amount times duration. An address that has used
/// little has an advantage, up to a limit, so that it cannot save up much. Within an address the oldest request is first. So a
/// client that sends a thousand requests, or slow ones, delays itself. Another client waits only for the parts in use now.
///
/// A smaller request never overtakes the next one, or else a large one could wait without end.
pub(in crate::server) struct Fair {
    bounds: Bounds,
    state: Mutex<State>,
}

/// The limits of a shared resource.
#[derive(Clone, Copy)]
pub(in crate::server) struct Bounds {
    /// The total amount.
    pub(in crate::server) size: usize,
    /// Maximum parts in use at once.
    pub(in crate::server) parts: usize,
    /// Maximum parts of one address in use at once.
    pub(in crate::server) parts_each: usize,
    /// Maximum waiting requests.
    pub(in crate::server) waiting: usize,
}

#[derive(Default)]
struct State {
    used: usize,
    parts: usize,
    waiting: usize,
    /// Number of requests so far, which is also the id of the newest.
    asked: u64,
    /// The highest use that an address had when it was served.
    level: u64,
    /// The number of clients at which to remove idle ones next.
    sweep: usize,
    clients: HashMap<IpAddr, Client>,
}

struct Client {
    used: usize,
    parts: usize,
    /// Its use up to `since`.
    spent: u64,
    since: Instant,
    waiting: VecDeque<Waiting>,
}

struct Waiting {
    id: u64,
    amount: usize,
    ready: oneshot::Sender<Result<Part, Shed>>,
}

/// A part of the resource, returned when dropped.
pub(in crate::server) struct Part {
    fair: Arc<Fair>,
    peer: IpAddr,
    amount: usize,
}

/// A position in the queue, given up when dropped.
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

    /// The amount in use, and the number of waiting requests.
    pub(in crate::server) fn load(&self) -> (Load, Load) {
        let state = self.state();
        let load = |now, most| Load { now, most };
        (load(state.used, self.bounds.size), load(state.waiting, self.bounds.waiting))
    }

    /// A part of this amount, or of the total if that is less, for this address. Waits until it is free.
    pub(in crate::server) async fn take(self: &Arc<Self>, peer: IpAddr, amount: usize) -> Result<Part, Shed> {
        let amount = amount.min(self.bounds.size);
        let (ready, given) = oneshot::channel();
        let (id, done) = self.state().ask(&self.bounds, Instant::now(), peer, Waiting { id: 0, amount, ready });
        let _position = Position { fair: self, peer, id };
        self.give(done);
        given.await.unwrap_or(Err(Shed::QueueFull))
    }

    /// Sends parts and refusals to the requests that left the queue.
    ///
    /// The caller must not hold the state: a part whose receiver is gone is returned at once, which locks it.
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

/// A request that leaves the queue, with its amount or the reason of its refusal.
struct Done {
    ready: oneshot::Sender<Result<Part, Shed>>,
    peer: IpAddr,
    given: Result<usize, Shed>,
}

impl State {
    fn ask(&mut self, bounds: &Bounds, now: Instant, peer: IpAddr, waiting: Waiting) -> (u64, Vec<Done>) {
        self.asked += 1;
        let (id, least) = (self.asked, self.least(bounds));
        let client = self.clients.entry(peer).or_insert_with(|| Client::new(now));
        if client.parts == 0 && client.waiting.is_empty() {
            client.spent = client.spent.max(least);
        }
        client.waiting.push_back(Waiting { id, ..waiting });
        self.waiting += 1;
        let mut done = self.next(bounds, now);
        if self.waiting > bounds.waiting {
            done.extend(self.refuse_one());
        }
        (id, done)
    }

    /// Refuses the newest waiting request of the address that has the most of them.
    fn refuse_one(&mut self) -> Option<Done> {
        let last = |client: &Client| client.waiting.back().map(|last| last.id);
        let most = self.clients.iter_mut().max_by_key(|(_, client)| (client.waiting.len(), last(client)));
        let (peer, client) = most?;
        let Waiting { ready, .. } = client.waiting.pop_back()?;
        self.waiting -= 1;
        Some(Done { ready, peer: *peer, given: Err(Shed::QueueFull) })
    }

    fn give_back(&mut self, bounds: &Bounds, now: Instant, peer: IpAddr, amount: usize, parts: usize) -> Vec<Done> {
        self.used -= amount;
        self.parts -= parts;
        if let Some(client) = self.clients.get_mut(&peer) {
            client.add_use(now);
            client.used -= amount;
            client.parts -= parts;
        }
        let done = self.next(bounds, now);
        self.forget(bounds);
        done
    }

    /// Takes requests out of the queue while there is a part for the next one.
    fn next(&mut self, bounds: &Bounds, now: Instant) -> Vec<Done> {
        let mut done = Vec::new();
        while self.parts < bounds.parts {
            let waiting = self.clients.iter_mut().filter(|(_, client)| client.parts < bounds.parts_each);
            let least = waiting.filter_map(|(peer, client)| {
                let id = client.waiting.front()?.id;
                client.add_use(now);
                Some(((client.spent, id), *peer))
            });
            let Some(((spent, _), peer)) = least.min() else { break };
            let Some(client) = self.clients.get_mut(&peer) else { break };
            let free = bounds.size - self.used;
            let Some(Waiting { amount, ready, .. }) = client.waiting.pop_front_if(|next| next.amount <= free) else {
                break;
            };
            client.used += amount;
            client.parts += 1;
            self.used += amount;
            self.parts += 1;
            self.waiting -= 1;
            self.level = self.level.max(spent);
            done.push(Done { ready, peer, given: Ok(amount) });
        }
        done
    }

    /// The use that a new client starts with.
    fn least(&self, bounds: &Bounds) -> u64 {
        /// The maximum advantage: as if the client had used nothing for this long while another used all. In microseconds.
        const BEHIND: u64 = 10_000_000;
        self.level.saturating_sub(BEHIND.saturating_mul(bounds.size as u64))
    }

    /// Removes idle clients that would start again with at least their present use.
    fn forget(&mut self, bounds: &Bounds) {
        /// So few clients are not worth a sweep.
        const FEW: usize = 64;
        /// Above this number, all idle clients are removed.
        const MANY: usize = 16_384;
        if self.clients.len() < self.sweep.max(FEW) {
            return;
        }
        let least = self.least(bounds);
        let is_idle = |client: &Client| client.parts == 0 && client.used == 0 && client.waiting.is_empty();
        self.clients.retain(|_, client| !is_idle(client) || client.spent > least);
        if self.clients.len() > MANY {
            self.clients.retain(|_, client| !is_idle(client));
        }
        self.sweep = self.clients.len() * 2;
    }
}

impl Client {
    fn new(now: Instant) -> Self {
        Self { used: 0, parts: 0, spent: 0, since: now, waiting: VecDeque::new() }
    }

    /// Adds the use up to now.
    fn add_use(&mut self, now: Instant) {
        let micros = u64::try_from(now.saturating_duration_since(self.since).as_micros()).unwrap_or(u64::MAX);
        self.spent = self.spent.saturating_add(micros.saturating_mul(self.used as u64));
        self.since = now;
    }
}

impl Part {
    /// Returns all but this amount.
    pub(in crate::server) fn shrink(&mut self, amount: usize) {
        let less = self.amount.saturating_sub(amount);
        self.amount -= less;
        if less > 0 {
            self.fair.give_back(self.peer, less, 0);
        }
    }

    /// Takes over the amount of another part of the same client.
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
        let Some(client) = state.clients.get_mut(&self.peer) else { return };
        let Some(index) = client.waiting.iter().position(|waiting| waiting.id == self.id) else { return };
        drop(client.waiting.remove(index));
        state.waiting -= 1;
        // The next request of the queue may fit.
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
    use crate::server::metrics::Shed;

    const ONE: Bounds = Bounds { size: 10, parts: 1, parts_each: 1, waiting: 100 };

    fn address(host: u8) -> IpAddr {
        [10, 0, 0, host].into()
    }

    /// The order in which simultaneous requests are served, if each takes a second.
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
    fn a_client_with_many_requests_delays_itself() {
        let (mut state, mut now) = (State::default(), Instant::now());
        assert_eq!(order(&mut state, &mut now, &[1, 1, 1, 1, 2, 3, 2]), [1, 2, 3, 1, 2, 1, 1]);
        now += Duration::from_mins(1);
        let served = order(&mut state, &mut now, &[1, 1, 4, 4]);
        assert_eq!(served.len(), 4);
        assert!(served[..2].contains(&4), "{served:?}");
    }

    #[test]
    fn a_client_with_few_requests_waits_for_one_at_most() {
        let (mut state, mut now) = (State::default(), Instant::now());
        for _ in 0..3 {
            let served = order(&mut state, &mut now, &[1, 2, 3, 4, 1, 2, 3, 4, 9]);
            assert!(served.iter().position(|host| *host == 9) <= Some(4), "{served:?}");
        }
        let served = order(&mut state, &mut now, &[1, 2, 3, 4, 1, 2, 3, 4, 9]);
        assert_eq!(served.iter().position(|host| *host == 9), Some(1), "{served:?}");
    }

    #[test]
    fn one_address_never_gets_the_last_part() {
        let fair = Arc::new(Fair::new(Bounds { parts: 2, ..ONE }));
        let first = fair.take(address(1), 1).now_or_never().unwrap();
        assert!(fair.take(address(1), 1).now_or_never().is_none());
        assert!(fair.take(address(2), 1).now_or_never().is_some());
        drop(first);
        assert!(fair.take(address(1), 1).now_or_never().is_some());
    }

    #[test]
    fn a_large_request_is_not_overtaken() {
        let fair = Arc::new(Fair::new(Bounds { parts: 9, parts_each: 9, ..ONE }));
        let six = fair.take(address(1), 6).now_or_never().unwrap();
        let (mut large, mut small) = (Box::pin(fair.take(address(2), 5)), Box::pin(fair.take(address(2), 1)));
        assert!((&mut large).now_or_never().is_none() && (&mut small).now_or_never().is_none());
        drop(six);
        let large = large.now_or_never().unwrap();
        assert!(large.is_ok() && small.now_or_never().is_some());
    }

    #[test]
    fn a_full_queue_refuses_the_address_with_the_most_requests() {
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
            "its address has the most requests"
        );
        drop(crowd);
        assert_eq!(fair.load().1.now, 1, "a dropped request leaves the queue");
        drop(part);
        assert!(other.now_or_never().is_some());
        assert_eq!((fair.load().0.now, fair.load().1.now), (0, 0));
    }
}
