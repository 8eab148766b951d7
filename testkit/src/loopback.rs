//! Loopback addresses that no other test uses.

use std::net::{Ipv4Addr, SocketAddrV4, TcpListener};

/// A network 127.66.N.0/24, reserved for one test until it is dropped.
///
/// With it, all ports of a control plane are known before it starts, and its Services have addresses at which a test
/// can listen. On Linux, all of 127.0.0.0/8 is loopback.
pub struct Network {
    number: u8,
    _claim: TcpListener,
}

/// The port by which a test reserves its network: it listens there.
const CLAIM: u16 = 6442;

impl Network {
    /// Reserves a free network.
    ///
    /// # Panics
    ///
    /// Panics if all 256 are in use.
    pub fn claim() -> Self {
        let free = (0..=u8::MAX).find_map(|number| {
            let claim = TcpListener::bind(at(number, 1, CLAIM)).ok()?;
            let unused = PORTS.iter().all(|port| TcpListener::bind(at(number, 1, *port)).is_ok());
            unused.then_some(Self { number, _claim: claim })
        });
        free.expect("a network of loopback is free")
    }

    pub fn at(&self, host: u8, port: u16) -> SocketAddrV4 {
        at(self.number, host, port)
    }

    /// The network in CIDR notation, for the range of Services.
    pub fn range(&self) -> String {
        format!("127.66.{}.0/24", self.number)
    }
}

/// Ports of etcd, for clients and for peers, and of the API server.
pub const PORTS: [u16; 3] = [2379, 2380, 6443];

fn at(number: u8, host: u8, port: u16) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::new(127, 66, number, host), port)
}
