//! The one way out: fetching what is at an address that a client has named (its keys). The name is resolved once, the
//! addresses are judged and exactly those are used; no redirects, no proxy, few bytes, little time. Whoever named the
//! address learns only that it could not be had. What the settings name may lie inside the own network
//! (`json_inside`); all other bounds are the same.

use crate::base::roots;
use serde_json::Value;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::OnceLock;
use std::time::Duration;
use ureq::http::Uri;
use ureq::tls::TlsConfig;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};

/// Bytes of an answer at most.
const LARGEST: u64 = 256 << 10;
/// Seconds for all of it.
const PATIENCE: u64 = 5;
/// How long an answer may be kept at most, whatever its server says, in seconds; and at least, so that nobody is
/// asked for every request.
const LONGEST: u64 = 3_600;
const SHORTEST: u64 = 1;

/// What was fetched.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// The JSON.
    pub value: Value,
    /// How long it may be used.
    pub fresh: Duration,
}

/// Fetches JSON. `loopback`: whether this machine itself may be asked (and without TLS), for development.
pub async fn json(url: &str, loopback: bool) -> Option<Fetched> {
    let url = url.to_owned();
    let fetched = tokio::task::spawn_blocking(move || get(&url, loopback)).await.ok()?;
    match fetched {
        Ok(fetched) => Some(fetched),
        Err(error) => {
            tracing::warn!(%error, "what a client's address names could not be fetched");
            None
        }
    }
}

/// Fetches JSON from an address that the settings name: by https from anywhere, without TLS from this machine.
pub(super) async fn json_inside(url: &str) -> Option<Fetched> {
    let url = url.to_owned();
    inside(move || {
        named(&url)?;
        read(agent(Reach::Inside).get(&url).header("accept", "application/json").call()?)
    })
    .await
}

/// Posts a form to an address that the settings name, with HTTP Basic; gives the JSON of the answer.
pub(super) async fn form_inside(url: &str, basic: &str, form: &[(&str, &str)]) -> Option<Fetched> {
    let (url, basic) = (url.to_owned(), basic.to_owned());
    let form: Vec<(String, String)> = form.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
    inside(move || {
        named(&url)?;
        let asked = agent(Reach::Inside).post(&url).header("accept", "application/json");
        read(asked.header("authorization", basic).send_form(form.iter().map(|(n, v)| (n.as_str(), v.as_str())))?)
    })
    .await
}

async fn inside(work: impl FnOnce() -> Result<Fetched, ureq::Error> + Send + 'static) -> Option<Fetched> {
    match tokio::task::spawn_blocking(work).await.ok()? {
        Ok(fetched) => Some(fetched),
        Err(error) => {
            tracing::warn!(%error, "an address that the settings name does not answer as it should");
            None
        }
    }
}

fn named(url: &str) -> Result<(), ureq::Error> {
    match is_well_written(url, true) {
        true => Ok(()),
        false => Err(ureq::Error::BadUri("not https, or with credentials".into())),
    }
}

fn get(url: &str, loopback: bool) -> Result<Fetched, ureq::Error> {
    if !is_fetchable(url, loopback) {
        return Err(ureq::Error::BadUri("not https, or with credentials".into()));
    }
    let reach = if loopback { Reach::Loopback } else { Reach::Public };
    read(agent(reach).get(url).header("accept", "application/json").call()?)
}

fn read(answer: ureq::http::Response<ureq::Body>) -> Result<Fetched, ureq::Error> {
    let kept = answer.headers().get("cache-control").and_then(|v| v.to_str().ok()).map(max_age);
    let bytes = answer.into_body().into_with_config().limit(LARGEST).read_to_vec()?;
    let value = serde_json::from_slice(&bytes).map_err(|e| ureq::Error::Io(std::io::Error::other(e)))?;
    let seconds = kept.unwrap_or(300).clamp(SHORTEST, LONGEST);
    Ok(Fetched { value, fresh: Duration::from_secs(seconds) })
}

/// Posts JSON with a token to a server that the user of the command line has named: status and text of the answer.
pub fn post(url: &str, token: &str, json: &str) -> Result<(u16, String), String> {
    let agent = crate::base::agent(Duration::from_secs(30));
    let request = agent.post(url).header("authorization", format!("Bearer {token}"));
    let answer = request.header("content-type", "application/json").send(json).map_err(|e| e.to_string())?;
    let status = answer.status().as_u16();
    let text = answer.into_body().into_with_config().limit(LARGEST).read_to_string().map_err(|e| e.to_string())?;
    Ok((status, text))
}

/// The seconds of `max-age`; none at all with `no-store` or `no-cache`.
fn max_age(cache_control: &str) -> u64 {
    let mut directives = cache_control.split(',').map(str::trim);
    if directives.clone().any(|d| d == "no-store" || d == "no-cache") {
        return 0;
    }
    directives.find_map(|d| d.strip_prefix("max-age=")?.parse().ok()).unwrap_or(300)
}

/// Whether an address that a client names can be one to fetch from, as far as its text tells: what its name leads to
/// is judged when it is resolved.
pub fn is_fetchable(url: &str, loopback: bool) -> bool {
    let Ok(uri) = url.parse::<Uri>() else { return false };
    let host = uri.host().unwrap_or_default().trim_end_matches('.').to_ascii_lowercase();
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(&host);
    let own = host == "localhost" || host.ends_with(".localhost");
    // A name whose last part is a number is an address in one of its many forms, or none.
    let last = host.rsplit('.').next().unwrap_or_default();
    let number = last.starts_with("0x") || !last.is_empty() && last.bytes().all(|b| b.is_ascii_digit());
    let outside = match bare.parse::<IpAddr>() {
        Ok(ip) => is_public(ip) || loopback && ip.is_loopback(),
        Err(_) => !number && (loopback || !own),
    };
    outside && is_well_written(url, loopback)
}

/// Whether an address is https without credentials, or http on this machine where that is allowed.
pub fn is_well_written(url: &str, loopback: bool) -> bool {
    let Ok(uri) = url.parse::<Uri>() else { return false };
    let Some(authority) = uri.authority() else { return false };
    let host = authority.host();
    let plain = uri.scheme_str() == Some("http") && loopback && is_local_name(host);
    (uri.scheme_str() == Some("https") || plain) && !authority.as_str().contains('@') && !url.contains('#')
}

fn is_local_name(host: &str) -> bool {
    matches!(host, "localhost" | "127.0.0.1" | "[::1]")
}

/// Which addresses may be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    /// Those of the public internet.
    Public,
    /// Those and this machine.
    Loopback,
    /// All: whoever has written the settings has named them.
    Inside,
}

fn agent(reach: Reach) -> &'static ureq::Agent {
    static PUBLIC: OnceLock<ureq::Agent> = OnceLock::new();
    static LOOPBACK: OnceLock<ureq::Agent> = OnceLock::new();
    static INSIDE: OnceLock<ureq::Agent> = OnceLock::new();
    let place = match reach {
        Reach::Public => &PUBLIC,
        Reach::Loopback => &LOOPBACK,
        Reach::Inside => &INSIDE,
    };
    place.get_or_init(|| {
        let config = ureq::Agent::config_builder()
            .max_redirects(0)
            .max_redirects_will_error(true)
            .proxy(None)
            .max_idle_connections(0)
            .max_response_header_size(16 << 10)
            .timeout_global(Some(Duration::from_secs(PATIENCE)))
            .tls_config(TlsConfig::builder().root_certs(roots()).build())
            .build();
        let resolver = Judged { inner: DefaultResolver::default(), reach };
        ureq::Agent::with_parts(config, DefaultConnector::default(), resolver)
    })
}

/// A resolver that gives only addresses that may be asked. The connection goes to what it gave: a name cannot
/// mean something else a moment later.
#[derive(Debug)]
struct Judged {
    inner: DefaultResolver,
    reach: Reach,
}

impl Resolver for Judged {
    fn resolve(
        &self,
        uri: &Uri,
        config: &ureq::config::Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let found = self.inner.resolve(uri, config, timeout)?;
        let allowed = |ip: IpAddr| match self.reach {
            Reach::Public => is_public(ip),
            Reach::Loopback => is_public(ip) || ip.is_loopback(),
            Reach::Inside => true,
        };
        // One address inside is enough to distrust the name.
        match found.iter().all(|address| allowed(address.ip())) {
            true => Ok(found),
            false => Err(ureq::Error::HostNotFound),
        }
    }
}

/// Whether an address is one of the public internet (IANA's registries of special addresses).
fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => is_public_v6(ip),
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    !(ip.is_loopback()
        || ip.is_private()
        || ip.is_link_local()
        || ip.is_multicast()
        || ip.is_broadcast()
        || ip.is_documentation()
        || a == 0
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 198 && (18..20).contains(&b))
        || a >= 240)
}

fn is_public_v6(ip: Ipv6Addr) -> bool {
    if let Some(mapped) = ip.to_ipv4_mapped() {
        return is_public_v4(mapped);
    }
    let [first, second, ..] = ip.segments();
    // Global unicast is 2000::/3; of it 2001:db8::/32 is documentation, 2002::/16 and 2001::/32 wrap IPv4 addresses.
    (first & 0xe000) == 0x2000 && !(first == 0x2001 && (second == 0xdb8 || second == 0)) && first != 0x2002
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[test]
    fn only_addresses_of_the_public_internet() {
        let check = |ip: &str, expected| assert_eq!(is_public(ip.parse().expect("an address")), expected, "{ip}");
        for inside in ["127.0.0.1", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1"]
        {
            check(inside, false);
        }
        for inside in ["::1", "::", "fd00::1", "fe80::1", "::ffff:10.0.0.1", "2002:7f00:1::", "255.255.255.255"] {
            check(inside, false);
        }
        check("93.184.216.34", true);
        check("2606:4700::1111", true);
    }

    #[test]
    fn only_https_without_credentials() {
        let check = |url: &str, loopback, expected| assert_eq!(is_fetchable(url, loopback), expected, "{url}");
        check("https://app.example/jwks.json", false, true);
        for bad in ["http://app.example/", "file:///etc/passwd", "ftp://a/", "https://u:p@a/", "https://", "jwks"] {
            check(bad, false, false);
        }
        check("http://localhost:1/jwks.json", false, false);
        check("http://localhost:1/jwks.json", true, true);
        check("http://localhost.evil.example/jwks.json", true, false);
        for inside in ["169.254.169.254", "10.0.0.1", "192.168.1.1", "[fd00::1]", "[::ffff:10.0.0.1]", "0.0.0.0"] {
            check(&format!("https://{inside}/jwks.json"), false, false);
            check(&format!("https://{inside}/jwks.json"), true, false);
        }
        for own in ["127.0.0.1", "[::1]", "localhost", "LOCALHOST.", "keys.localhost"] {
            check(&format!("https://{own}:8443/jwks.json"), false, false);
            check(&format!("https://{own}:8443/jwks.json"), true, true);
        }
        for odd in ["127.1", "2130706433", "0x7f000001", "0177.0.0.1", "1.2.3.4.5"] {
            check(&format!("https://{odd}/jwks.json"), false, false);
        }
        check("https://93.184.216.34/jwks.json", false, true);
    }

    #[test]
    fn names_of_this_machine_and_numbers_in_disguise_lead_nowhere() {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        // Somebody listens there, so that only the judgement of the address is in the way.
        let (url, asked) = server(Vec::new(), false);
        let port = url.rsplit(':').next().and_then(|rest| rest.split('/').next()).expect("a port").to_owned();
        for name in ["localhost", "127.0.0.1", "127.1", "2130706433", "0x7f000001", "[::ffff:127.0.0.1]"] {
            assert!(get(&format!("https://{name}:{port}/"), false).is_err(), "{name}");
        }
        assert_eq!(asked.load(Ordering::SeqCst), 0, "nobody was asked");
        // Where this machine may be asked, the same address is reached, though it speaks no TLS.
        for name in ["localhost", "127.0.0.1"] {
            assert!(get(&format!("https://{name}:{port}/"), true).is_err(), "{name}");
        }
        assert!(asked.load(Ordering::SeqCst) >= 1, "somebody was asked");
    }

    /// A server that sends these bytes to whoever asks, keeps the connection open if told so, and counts.
    fn server(answer: Vec<u8>, open: bool) -> (String, Arc<AtomicU32>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}/keys", listener.local_addr().expect("an address"));
        let count = Arc::new(AtomicU32::new(0));
        let counted = count.clone();
        std::thread::spawn(move || {
            let mut kept = Vec::new();
            for mut stream in listener.incoming().flatten() {
                counted.fetch_add(1, Ordering::SeqCst);
                let _ = stream.read(&mut [0; 2_048]);
                let _ = stream.write_all(&answer);
                kept.extend(open.then_some(stream));
            }
        });
        (url, count)
    }

    fn head(more: &str, length: usize) -> String {
        format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n{more}content-length: {length}\r\n\r\n")
    }

    #[test]
    fn redirects_are_not_followed_and_answers_are_bounded() {
        let (good, asked) = server(format!("{}{{}}", head("connection: close\r\n", 2)).into_bytes(), false);
        assert!(get(&good, true).is_ok());
        assert_eq!(asked.load(Ordering::SeqCst), 1);
        for status in ["301 Moved", "302 Found", "307 Temporary", "308 Permanent"] {
            let told =
                format!("HTTP/1.1 {status}\r\nlocation: {good}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            let (led, _) = server(told.into_bytes(), false);
            assert!(get(&led, true).is_err(), "{status}");
        }
        assert_eq!(asked.load(Ordering::SeqCst), 1, "nobody was led there");
        let size = LARGEST as usize + 1;
        let huge = format!("{}\"{}\"", head("connection: close\r\n", size + 2), "x".repeat(size));
        assert!(get(&server(huge.into_bytes(), false).0, true).is_err(), "too large");
        assert!(get(&server(head("", 10).into_bytes(), true).0, true).is_err(), "it never ends");
        assert!(get(&server(Vec::new(), true).0, true).is_err(), "it never begins");
        let headers = "x-a: b\r\n".repeat(10_000);
        assert!(get(&server(head(&headers, 2).into_bytes(), false).0, true).is_err(), "many headers");
    }

    #[test]
    fn how_long_an_answer_is_kept() {
        assert_eq!(max_age("public, max-age=60"), 60);
        assert_eq!(max_age("no-store"), 0);
        assert_eq!(max_age("private"), 300);
    }
}
