//! Where a request comes from: the other end of the connection or, if that is a proxy that the settings name, what the
//! proxy says in `X-Forwarded-For`. What others write there is not looked at: everybody can write it.

use actix_web::http::header::HeaderMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

/// Addresses with a common beginning, such as `10.0.0.0/8`, or one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

impl Network {
    /// Whether an address is in it.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.bits)).unwrap_or(0);
                u32::from(own) & mask == u32::from(other) & mask
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.bits)).unwrap_or(0);
                u128::from(own) & mask == u128::from(other) & mask
            }
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Network, String> {
        let wrong = || format!("'{text}' is no address and no network such as 10.0.0.0/8");
        let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(most), str::parse).map_err(|_| wrong())?;
        if bits > most { Err(wrong()) } else { Ok(Network { address, bits }) }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

impl Serialize for Network {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Network, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Where a request comes from: of all through whom it came the last one that is no trusted proxy.
pub fn remote(peer: Option<IpAddr>, headers: &HeaderMap, proxies: &[Network]) -> Option<IpAddr> {
    let trusted = |address: IpAddr| proxies.iter().any(|network| network.contains(address));
    let mut last = peer?.to_canonical();
    if !trusted(last) {
        return Some(last);
    }
    // Each proxy adds at the end who came to it; several headers are one list.
    let all: Vec<&str> = headers.get_all("x-forwarded-for").filter_map(|value| value.to_str().ok()).collect();
    for entry in all.iter().rev().flat_map(|value| value.rsplit(',')) {
        // What is no address was not written by a proxy that can be believed.
        let Some(address) = address(entry.trim()) else { break };
        last = address.to_canonical();
        if !trusted(last) {
            break;
        }
    }
    Some(last)
}

/// An address with or without a port.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    bare.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::{HeaderName, HeaderValue};

    #[test]
    fn networks() {
        let check = |network: &str, address: &str, expected| {
            let network: Network = network.parse().expect(network);
            assert_eq!(network.contains(address.parse().expect(address)), expected, "{network} {address}");
        };
        check("10.0.0.0/8", "10.255.1.2", true);
        check("10.0.0.0/8", "11.0.0.1", false);
        check("10.1.2.3", "10.1.2.3", true);
        check("10.1.2.3", "10.1.2.4", false);
        check("10.1.2.3", "::ffff:10.1.2.3", true);
        check("0.0.0.0/0", "192.0.2.1", true);
        check("0.0.0.0/0", "2001:db8::1", false);
        check("fd00::/8", "fd12::1", true);
        check("fd00::/8", "2001:db8::1", false);
        check("::/0", "2001:db8::1", true);
        for wrong in ["", "proxy", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/x", "fd00::/129"] {
            assert!(wrong.parse::<Network>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn only_a_trusted_proxy_is_believed() {
        let proxies = ["127.0.0.1".parse().expect("one"), "10.0.0.0/8".parse().expect("many")];
        let check = |peer: &str, sent: &[&str], expected: &str| {
            let mut headers = HeaderMap::new();
            for value in sent {
                let value = HeaderValue::from_str(value).expect("a header");
                headers.append(HeaderName::from_static("x-forwarded-for"), value);
            }
            let found = remote(peer.parse().ok(), &headers, &proxies);
            assert_eq!(found, expected.parse().ok(), "{peer} {sent:?}");
        };
        check("192.0.2.1", &["203.0.113.9"], "192.0.2.1");
        check("127.0.0.1", &[], "127.0.0.1");
        check("127.0.0.1", &["203.0.113.9"], "203.0.113.9");
        check("::ffff:127.0.0.1", &["203.0.113.9"], "203.0.113.9");
        // What the client wrote stands to the left of what the proxy adds.
        check("127.0.0.1", &["1.2.3.4, 203.0.113.9"], "203.0.113.9");
        check("127.0.0.1", &["1.2.3.4", "203.0.113.9, 10.1.1.1"], "203.0.113.9");
        check("127.0.0.1", &["203.0.113.9:4711"], "203.0.113.9");
        check("127.0.0.1", &["[2001:db8::7]:4711"], "2001:db8::7");
        check("127.0.0.1", &["2001:db8::7"], "2001:db8::7");
        check("127.0.0.1", &["203.0.113.9, unknown"], "127.0.0.1");
        check("127.0.0.1", &["203.0.113.9, unknown, 10.1.1.1"], "10.1.1.1");
        check("127.0.0.1", &["10.2.2.2, 10.1.1.1"], "10.2.2.2");
        assert_eq!(remote(None, &HeaderMap::new(), &proxies), None);
    }
}
