use std::net::IpAddr;

use tokio::time::Instant;

use crate::server::listener::connections::{ConnectionGuard, Connections, Outcome, READ_GRACE};

const API_SERVER: [u8; 4] = [10, 0, 0, 1];
const MOST: usize = 8;

fn enter(connections: &Connections, peer: [u8; 4]) -> ConnectionGuard {
    connections.evict_to(MOST);
    connections.enter(IpAddr::from(peer), MOST)
}

/// A connection with a completed review.
fn proven(connections: &Connections, peer: [u8; 4]) -> ConnectionGuard {
    let guard = enter(connections, peer);
    review(&guard);
    guard
}

fn review(guard: &ConnectionGuard) {
    guard.seat().begin();
    guard.seat().written(Outcome::Reviewed);
}

fn is_open(guard: &ConnectionGuard) -> bool {
    guard.seat.connections.open().all.contains_key(&guard.seat.id)
}

#[test]
fn a_connection_without_a_completed_review_is_evicted_first() {
    let connections = Connections::new(None);
    let kept: Vec<_> = (0..4).map(|_| proven(&connections, API_SERVER)).collect();
    let crowd: Vec<_> = (0..50)
        .map(|_| {
            let guard = enter(&connections, [10, 0, 0, 2]);
            guard.seat().written(Outcome::Other);
            guard
        })
        .collect();
    assert!(kept.iter().all(is_open));
    assert!(crowd.iter().rev().take(4).all(is_open), "the newest are open");
    assert_eq!(crowd.iter().filter(|guard| is_open(guard)).count(), 4);
}

#[test]
fn an_address_with_many_connections_yields_to_another_address() {
    let connections = Connections::new(None);
    let crowd: Vec<_> = (0..MOST).map(|_| enter(&connections, [10, 0, 0, 2])).collect();
    let newcomers: Vec<_> = (0..3).map(|_| enter(&connections, API_SERVER)).collect();
    let more: Vec<_> = (0..9).map(|_| enter(&connections, [10, 0, 0, 2])).collect();
    assert!(newcomers.iter().all(is_open));
    assert!(!crowd.iter().any(is_open) && more.iter().rev().take(5).all(is_open));
}

#[test]
fn with_reviews_on_all_connections_the_longest_idle_of_the_largest_crowd_is_evicted() {
    let connections = Connections::new(None);
    let early = proven(&connections, API_SERVER);
    let crowd: Vec<_> = (0..5).map(|_| proven(&connections, [10, 0, 0, 2])).collect();
    review(&crowd[0]);
    let busy: Vec<_> = (0..2).map(|_| enter(&connections, [10, 0, 0, 3])).collect();
    for guard in &busy {
        guard.seat().begin();
    }
    let new = enter(&connections, [10, 0, 0, 4]);
    assert!(is_open(&early) && is_open(&crowd[0]) && is_open(&new) && busy.iter().all(is_open));
    assert!(!is_open(&crowd[1]), "of the largest crowd, the longest idle");
}

#[test]
fn a_quarter_of_the_limit_is_left_to_connections_without_a_review() {
    let connections = Connections::new(None);
    let early = proven(&connections, API_SERVER);
    let crowd: Vec<_> = (0..20).map(|_| proven(&connections, [10, 0, 0, 2])).collect();
    assert!(is_open(&early));
    assert_eq!(crowd.iter().filter(|guard| is_open(guard)).count(), MOST - MOST / 4 - 1);
    let newcomers: Vec<_> = (0..2).map(|_| enter(&connections, API_SERVER)).collect();
    assert!(newcomers.iter().all(is_open), "neither was closed for the other");
}

#[test]
fn a_connection_with_a_received_request_is_never_evicted() {
    let connections = Connections::new(None);
    let busy: Vec<_> = (0..MOST).map(|_| enter(&connections, API_SERVER)).collect();
    for guard in &busy {
        guard.seat().begin();
    }
    connections.evict_to(MOST);
    connections.evict_one();
    assert!(busy.iter().all(is_open), "none may be evicted");
    busy[3].seat().written(Outcome::Reviewed);
    connections.evict_to(MOST);
    assert!(!is_open(&busy[3]) && busy.iter().filter(|guard| is_open(guard)).count() == MOST - 1);
}

#[test]
fn a_connection_that_ends_with_its_answer_is_evicted_before_newer_ones() {
    let connections = Connections::new(None);
    let ending = proven(&connections, API_SERVER);
    ending.seat().begin();
    ending.seat().written(Outcome::Ends);
    let later: Vec<_> = (0..MOST).map(|_| enter(&connections, API_SERVER)).collect();
    assert!(!is_open(&ending) && later.iter().all(is_open));
}

#[test]
fn an_unread_answer_protects_its_connection_for_a_second() {
    let connections = Connections::new(None);
    let stalled: Vec<_> = (0..MOST).map(|_| enter(&connections, API_SERVER)).collect();
    for guard in &stalled {
        guard.seat().begin();
        guard.seat().stall();
    }
    connections.evict_to(MOST);
    assert!(stalled.iter().all(is_open), "the grace has not passed");
    // The client reads one response after all, which completes a review.
    stalled[0].seat().written(Outcome::Reviewed);
    connections.open().expire_unread(Instant::now() + READ_GRACE);
    connections.evict_to(MOST);
    assert!(is_open(&stalled[0]) && !is_open(&stalled[1]));
    stalled[2].seat().written(Outcome::Reviewed);
    assert!(is_open(&stalled[2]));
}
