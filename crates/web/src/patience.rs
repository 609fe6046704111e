//! A connection that is closed when its client takes nothing for too long, and the count of a
//! client's connections.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv6Addr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

/// A stream whose writes fail once the other side has taken no byte for `within`.
///
/// What is written goes to the operating system's buffer first, so a client that is merely slow
/// is not noticed; one that does not read at all is, when the buffer is full.
pub(crate) struct Patient<S> {
    inner: S,
    within: Duration,
    /// Runs while a write waits.
    waiting: Option<Pin<Box<Sleep>>>,
}

impl<S> Patient<S> {
    pub(crate) fn new(inner: S, within: Duration) -> Self {
        Patient { inner, within, waiting: None }
    }

    /// Passes an outcome on, or fails when it has been pending for too long.
    fn limited<T>(
        &mut self,
        outcome: Poll<io::Result<T>>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if outcome.is_ready() {
            self.waiting = None;
            return outcome;
        }
        let within = self.within;
        let wait = self.waiting.get_or_insert_with(|| Box::pin(tokio::time::sleep(within)));
        match wait.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.inner).poll_write(cx, bytes);
        self.limited(outcome, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.inner).poll_write_vectored(cx, pieces);
        self.limited(outcome, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.inner).poll_flush(cx);
        self.limited(outcome, cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.inner).poll_shutdown(cx);
        self.limited(outcome, cx)
    }
}

/// How many connections each address holds. Never more than two entries for a connection.
#[derive(Clone, Default)]
pub(crate) struct Neighbours(Arc<Mutex<HashMap<Part, usize>>>);

/// One connection of an address, for as long as it lives.
pub(crate) struct Neighbour {
    of: Neighbours,
    parts: [Part; 2],
}

/// Addresses that count together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Part {
    Household(IpAddr),
    Holding(IpAddr),
}

impl Neighbours {
    /// One more connection of this address; `None` when its household has `most` already, or its holding
    /// [`HOUSEHOLDS`] times as many.
    pub(crate) fn admit(&self, address: IpAddr, most: usize) -> Option<Neighbour> {
        let parts = [Part::Household(household(address)), Part::Holding(holding(address))];
        let bounds = [most, most.saturating_mul(HOUSEHOLDS)];
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let held = |part: &Part| counts.get(part).copied().unwrap_or_default();
        if parts.iter().zip(bounds).any(|(part, bound)| held(part) >= bound) {
            return None;
        }
        for part in parts {
            *counts.entry(part).or_default() += 1;
        }
        drop(counts);
        Some(Neighbour { of: self.clone(), parts })
    }
}

impl Drop for Neighbour {
    fn drop(&mut self) {
        let mut counts = self.of.0.lock().unwrap_or_else(PoisonError::into_inner);
        for part in &self.parts {
            if let Some(count) = counts.get_mut(part) {
                *count -= 1;
                if *count == 0 {
                    counts.remove(part);
                }
            }
        }
    }
}

/// So many households' shares of something one holding may take: with a few computers more a customer of a provider still
/// gets in, and sixty-five thousand made-up ones get no more than four.
pub(crate) const HOUSEHOLDS: usize = 4;

/// What counts as one client: an IPv4 address, an IPv6 /64 (what one host or home is given).
pub(crate) fn household(address: IpAddr) -> IpAddr {
    first_bits(address, 64)
}

/// What one customer of a provider may hold: an IPv4 address, an IPv6 /48. Whoever has one can be any of its households.
pub(crate) fn holding(address: IpAddr) -> IpAddr {
    first_bits(address, 48)
}

/// An address of the sixth version without the bits behind these.
fn first_bits(address: IpAddr, bits: u32) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(a) => IpAddr::V6(Ipv6Addr::from_bits(a.to_bits() & !(u128::MAX >> bits))),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_has_a_bounded_number_of_places_and_gets_them_back() {
        let all = Neighbours::default();
        let held: Vec<_> = (0..3).map(|_| all.admit(ip("192.0.2.1"), 3).unwrap()).collect();
        assert!(all.admit(ip("192.0.2.1"), 3).is_none());
        assert!(all.admit(ip("::ffff:192.0.2.1"), 3).is_none());
        assert!(all.admit(ip("192.0.2.2"), 3).is_some());
        drop(held);
        assert!(all.admit(ip("192.0.2.1"), 3).is_some());
        assert!(all.0.lock().unwrap().is_empty());
    }

    #[test]
    fn the_addresses_of_one_ipv6_household_count_together() {
        let all = Neighbours::default();
        let _one = all.admit(ip("2001:db8:1:2::1"), 1).unwrap();
        assert!(all.admit(ip("2001:db8:1:2:ffff::9"), 1).is_none());
        assert!(all.admit(ip("2001:db8:1:3::1"), 1).is_some());
    }

    #[test]
    fn whoever_holds_many_households_takes_no_more_than_a_few_shares() {
        let all = Neighbours::default();
        let from = |n: u16| ip(&format!("2001:db8:1:{n:x}::1"));
        let held: Vec<_> = (0..4).map(|n| all.admit(from(n), 1).unwrap()).collect();
        for n in 4..100 {
            assert!(all.admit(from(n), 1).is_none());
        }
        assert!(all.admit(ip("2001:db8:2::1"), 1).is_some(), "another customer of the provider");
        assert!(all.admit(ip("192.0.2.1"), 1).is_some());
        drop(held);
        assert!(all.admit(from(9), 1).is_some());
        assert!(all.0.lock().unwrap().is_empty());
        assert_eq!(holding(ip("2001:db8:1:2::3")), holding(ip("2001:db8:1:ffff::4")));
        assert_eq!(holding(ip("192.0.2.1")), household(ip("::ffff:192.0.2.1")));
    }
}
