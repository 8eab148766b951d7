//! Binds the listeners of `serve`.

use std::{
    io::{self, ErrorKind},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use anyhow::Context as _;
use tokio::net::TcpListener;
use tracing::info;

/// Binds the address of a flag. `[::]` becomes `0.0.0.0` where IPv6 is missing, as on nodes booted with `ipv6.disable=1`.
pub(super) async fn bind(address: SocketAddr, flag: &str) -> anyhow::Result<TcpListener> {
    match TcpListener::bind(address).await {
        Err(error) if is_without_family(address, &error) => {
            let ipv4 = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), address.port());
            info!(flag, %address, used = %ipv4, "IPv6 is unavailable; listening on IPv4 only");
            TcpListener::bind(ipv4).await.with_context(|| format!("cannot listen on {ipv4} ({flag})"))
        }
        bound => bound.with_context(|| format!("cannot listen on {address} ({flag})")),
    }
}

/// Whether the address is every address of IPv6, and the error says that the machine has no IPv6.
///
/// The kernel reports either: no socket of the family can be made, or none can be bound.
fn is_without_family(address: SocketAddr, error: &io::Error) -> bool {
    address.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED)
        && (error.raw_os_error() == Some(libc::EAFNOSUPPORT) || error.kind() == ErrorKind::AddrNotAvailable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_wildcard_of_a_missing_family_falls_back() {
        let wildcard = "[::]:8443";
        for (address, errno, falls_back) in [
            (wildcard, libc::EAFNOSUPPORT, true),
            (wildcard, libc::EADDRNOTAVAIL, true),
            (wildcard, libc::EADDRINUSE, false),
            (wildcard, libc::EACCES, false),
            (wildcard, libc::EMFILE, false),
            ("[::1]:8443", libc::EAFNOSUPPORT, false),
            ("[::1]:8443", libc::EADDRNOTAVAIL, false),
            ("0.0.0.0:8443", libc::EAFNOSUPPORT, false),
            ("192.0.2.1:8443", libc::EADDRNOTAVAIL, false),
        ] {
            let (address, error) = (address.parse().expect("it is an address"), io::Error::from_raw_os_error(errno));
            assert_eq!(is_without_family(address, &error), falls_back, "{address}: {error}");
        }
    }
}
