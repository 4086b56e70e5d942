//! Free ports. They lie below what systems hand out to outgoing connections, so that a port is still free when the
//! API server is stopped and started on it; they are chosen at random, so that several sandboxes do not queue for the
//! same one. Between choosing and using somebody else may be faster: whoever uses them tries again.

use std::net::{Ipv4Addr, TcpListener};

use crate::pki;

const FIRST: u16 = 20_000;
const COUNT: u16 = 12_000;

/// `N` different ports that nobody listens on at the moment.
pub(crate) fn free<const N: usize>() -> anyhow::Result<[u16; N]> {
    // The listeners are kept until all are found, or the same port could be found twice.
    let mut found: Vec<(u16, TcpListener)> = Vec::with_capacity(N);
    for _ in 0..1_000 {
        let port = FIRST + u16::from_be_bytes(pki::random()?) % COUNT;
        if let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            found.push((port, listener));
        }
        if found.len() == N {
            return Ok(std::array::from_fn(|index| found[index].0));
        }
    }
    anyhow::bail!("could not find {N} free ports between {FIRST} and {}: end what listens there", FIRST + COUNT - 1)
}
