//! Idle connections grouped by client address, to find the one to evict without a scan.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap},
    net::IpAddr,
};

/// Connections that may be evicted, by client address. The connections of one address are a crowd.
#[derive(Default)]
pub(in crate::server) struct Crowds {
    /// For each address: since when a connection is idle, and its id.
    crowds: HashMap<IpAddr, BTreeMap<u64, u64>>,
    /// The size of each crowd, and since when its longest idle connection is idle. The last entry is evicted first.
    sizes: BTreeMap<(usize, Reverse<u64>), IpAddr>,
}

impl Crowds {
    /// Adds connection `id`. No two connections have the same `since`.
    pub(in crate::server) fn add(&mut self, peer: IpAddr, since: u64, id: u64) {
        self.change(peer, |crowd| {
            crowd.insert(since, id);
        });
    }

    /// Removes the connection that is idle since `since`.
    pub(in crate::server) fn remove(&mut self, peer: IpAddr, since: u64) {
        self.change(peer, |crowd| {
            crowd.remove(&since);
        });
    }

    /// The connection to evict first: of the address with the most connections, the one idle the longest.
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
        assert_eq!(crowds.first(), Some(10), "of crowds of the same size, the one with the longest idle connection");
        crowds.remove(few, 1);
        crowds.remove(many, 4);
        assert_eq!(crowds.first(), None);
        assert!(crowds.crowds.is_empty() && crowds.sizes.is_empty());
    }
}
