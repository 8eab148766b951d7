//! Connections by the address that they come from, so that the one that makes room is found without looking at all of them.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap},
    net::IpAddr,
};

/// Connections that may be closed, by address, each with a number that says since when it is idle.
#[derive(Default)]
pub(in crate::server) struct Crowds {
    /// Since when a connection is idle, and which it is.
    crowds: HashMap<IpAddr, BTreeMap<u64, u64>>,
    /// How many connections an address has, and since when the longest idle of them is: the last is the first to make room.
    sizes: BTreeMap<(usize, Reverse<u64>), IpAddr>,
}

impl Crowds {
    /// Adds connection `id`. No two of them are idle since the same number.
    pub(in crate::server) fn add(&mut self, peer: IpAddr, since: u64, id: u64) {
        self.change(peer, |crowd| {
            crowd.insert(since, id);
        });
    }

    /// Takes out the connection that is idle since `since`.
    pub(in crate::server) fn remove(&mut self, peer: IpAddr, since: u64) {
        self.change(peer, |crowd| {
            crowd.remove(&since);
        });
    }

    /// The connection that makes room first: of the address that has the most, the longest idle.
    pub(in crate::server) fn first(&self) -> Option<u64> {
        let (_, peer) = self.sizes.last_key_value()?;
        self.crowds.get(peer)?.first_key_value().map(|(_, id)| *id)
    }

    fn change(&mut self, peer: IpAddr, change: impl FnOnce(&mut BTreeMap<u64, u64>)) {
        let crowd = self.crowds.entry(peer).or_default();
        if let Some(size) = size(crowd) {
            self.sizes.remove(&size);
        }
        change(crowd);
        match size(crowd) {
            Some(size) => drop(self.sizes.insert(size, peer)),
            None => drop(self.crowds.remove(&peer)),
        }
    }
}

fn size(crowd: &BTreeMap<u64, u64>) -> Option<(usize, Reverse<u64>)> {
    crowd.first_key_value().map(|(since, _)| (crowd.len(), Reverse(*since)))
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::Crowds;

    #[test]
    fn the_longest_idle_of_the_largest_crowd_is_first() {
        let [many, few]: [IpAddr; 2] = [[127, 0, 0, 1].into(), [127, 0, 0, 2].into()];
        let mut crowds = Crowds::default();
        assert_eq!(crowds.first(), None);
        for (peer, since) in [(few, 1), (many, 4), (many, 2), (many, 3)] {
            crowds.add(peer, since, since * 10);
        }
        assert_eq!(crowds.first(), Some(20));
        crowds.remove(many, 2);
        assert_eq!(crowds.first(), Some(30));
        crowds.remove(many, 3);
        assert_eq!(crowds.first(), Some(10), "of crowds of one size, that of the longest idle");
        crowds.remove(few, 1);
        crowds.remove(many, 4);
        assert_eq!(crowds.first(), None);
        assert!(crowds.crowds.is_empty() && crowds.sizes.is_empty());
    }
}
