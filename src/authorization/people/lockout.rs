//! How long someone has to wait after wrong passwords: only arithmetic.
//!
//! Counted for a name at an address, and for an address alone, never for a name alone: who guesses from elsewhere
//! can lock out nobody. The wait of an address holds only for names that have not signed in from there lately: whoever
//! guesses beside people who work there holds up none of them. Names that do not exist are counted like others, so that nothing is told about them. What
//! this does not stop is a guesser with very many addresses: each of them has a few tries.

use crate::base::Timestamp;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// Tries of one name at one address before there is a wait.
pub const FREE_OF_NAME: u32 = 5;
/// Tries of an address, whatever the names: a clinic may be behind one address.
pub const FREE_OF_ADDRESS: u32 = 100;
/// Longest wait.
const LONGEST: i64 = 15 * 60 * SECOND;
/// How long a count is kept after the last try.
pub const MEMORY: i64 = 24 * 60 * 60 * SECOND;
/// How long it is remembered that a name has signed in from an address.
pub const KNOWN_FOR: i64 = 90 * 24 * 60 * 60 * SECOND;
const SECOND: i64 = 1_000_000;

/// What was tried in vain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tries {
    /// How many, without a success between.
    pub number: u32,
    /// Until when nothing more is tried, in microseconds since the epoch.
    pub wait_until: i64,
}

impl Tries {
    /// How many seconds are left to wait.
    pub fn wait(&self, now: Timestamp) -> Option<u64> {
        let left = self.wait_until - now.0;
        (left > 0).then(|| u64::try_from(left / SECOND + 1).unwrap_or(u64::MAX))
    }

    /// With one more try, which is counted before it is known whether it is in vain: many at once are no way round.
    pub fn one_more(&self, free: u32, now: Timestamp) -> Tries {
        let number = self.number.saturating_add(1);
        let over = number.saturating_sub(free);
        let wait = match over {
            0 => 0,
            _ => (SECOND << over.min(20)).min(LONGEST),
        };
        Tries { number, wait_until: now.0 + wait }
    }
}

/// An address as it is counted: of IPv6 the network, since everybody has very many addresses in it.
pub fn counted(address: IpAddr) -> String {
    match address {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => v4.to_string(),
            None => {
                let parts = v6.segments();
                format!("{:x}:{:x}:{:x}:{:x}::/64", parts[0], parts[1], parts[2], parts[3])
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_end() {
        let now = Timestamp(1_000_000_000);
        let mut tries = Tries::default();
        for _ in 0..FREE_OF_NAME {
            tries = tries.one_more(FREE_OF_NAME, now);
            assert_eq!(tries.wait(now), None);
        }
        let mut waits = Vec::new();
        for _ in 0..12 {
            tries = tries.one_more(FREE_OF_NAME, now);
            waits.push((tries.wait_until - now.0) / SECOND);
        }
        assert_eq!(waits, [2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900]);
        assert_eq!(tries.wait(Timestamp(tries.wait_until)), None);
        for _ in 0..100 {
            tries = tries.one_more(FREE_OF_NAME, now);
        }
        assert_eq!(tries.wait_until - now.0, LONGEST, "no overflow");
    }

    #[test]
    fn addresses_are_counted_by_network() {
        let check = |address: &str, expected: &str| {
            assert_eq!(counted(address.parse().expect("an address")), expected);
        };
        check("192.0.2.7", "192.0.2.7");
        check("::ffff:192.0.2.7", "192.0.2.7");
        check("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64");
    }
}
