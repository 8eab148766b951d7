use std::net::IpAddr;

use tokio::time::Instant;

use crate::server::listener::connections::{ConnectionGuard, Connections, Outcome, TAKING};

const API_SERVER: [u8; 4] = [10, 0, 0, 1];
const MOST: usize = 8;

fn enter(connections: &Connections, peer: [u8; 4]) -> ConnectionGuard {
    connections.make_room(MOST);
    connections.enter(IpAddr::from(peer), MOST)
}

/// One that has had a review answered.
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
fn who_has_had_no_review_answered_makes_room_first() {
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
    assert!(crowd.iter().rev().take(4).all(is_open), "the newest are there");
    assert_eq!(crowd.iter().filter(|guard| is_open(guard)).count(), 4);
}

#[test]
fn a_crowd_makes_room_for_a_newcomer_from_elsewhere() {
    let connections = Connections::new(None);
    let crowd: Vec<_> = (0..MOST).map(|_| enter(&connections, [10, 0, 0, 2])).collect();
    let newcomers: Vec<_> = (0..3).map(|_| enter(&connections, API_SERVER)).collect();
    let more: Vec<_> = (0..9).map(|_| enter(&connections, [10, 0, 0, 2])).collect();
    assert!(newcomers.iter().all(is_open));
    assert!(!crowd.iter().any(is_open) && more.iter().rev().take(5).all(is_open));
}

#[test]
fn where_all_have_had_a_review_answered_the_longest_idle_of_the_largest_crowd_goes() {
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
fn a_quarter_is_left_to_those_without_a_review() {
    let connections = Connections::new(None);
    let early = proven(&connections, API_SERVER);
    let crowd: Vec<_> = (0..20).map(|_| proven(&connections, [10, 0, 0, 2])).collect();
    assert!(is_open(&early));
    assert_eq!(crowd.iter().filter(|guard| is_open(guard)).count(), MOST - MOST / 4 - 1);
    let newcomers: Vec<_> = (0..2).map(|_| enter(&connections, API_SERVER)).collect();
    assert!(newcomers.iter().all(is_open), "neither was closed for the other");
}

#[test]
fn a_connection_whose_request_has_come_is_never_closed() {
    let connections = Connections::new(None);
    let busy: Vec<_> = (0..MOST).map(|_| enter(&connections, API_SERVER)).collect();
    for guard in &busy {
        guard.seat().begin();
    }
    connections.make_room(MOST);
    connections.close_one();
    assert!(busy.iter().all(is_open), "there is no room");
    busy[3].seat().written(Outcome::Reviewed);
    connections.make_room(MOST);
    assert!(!is_open(&busy[3]) && busy.iter().filter(|guard| is_open(guard)).count() == MOST - 1);
}

#[test]
fn a_connection_that_ends_with_its_answer_goes_before_all_that_came_later() {
    let connections = Connections::new(None);
    let ending = proven(&connections, API_SERVER);
    ending.seat().begin();
    ending.seat().written(Outcome::Ends);
    let later: Vec<_> = (0..MOST).map(|_| enter(&connections, API_SERVER)).collect();
    assert!(!is_open(&ending) && later.iter().all(is_open));
}

#[test]
fn an_answer_that_is_not_taken_protects_its_connection_for_a_moment() {
    let connections = Connections::new(None);
    let stalled: Vec<_> = (0..MOST).map(|_| enter(&connections, API_SERVER)).collect();
    for guard in &stalled {
        guard.seat().begin();
        guard.seat().stall();
    }
    connections.make_room(MOST);
    assert!(stalled.iter().all(is_open), "it has not been long");
    // One is taken after all, and its connection is one that has had a review answered.
    stalled[0].seat().written(Outcome::Reviewed);
    connections.open().give_up_untaken(Instant::now() + TAKING);
    connections.make_room(MOST);
    assert!(is_open(&stalled[0]) && !is_open(&stalled[1]));
    stalled[2].seat().written(Outcome::Reviewed);
    assert!(is_open(&stalled[2]));
}
