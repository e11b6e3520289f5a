//! The second factor from an authenticator app: time-based one-time passwords (RFC 6238: SHA-1, six digits, 30 s,
//! as all apps know them). A code is good once.

use super::secret;
use crate::base::{Failure, Timestamp};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use qrcodegen::{QrCode, QrCodeEcc};
use serde::{Deserialize, Serialize};

/// What the server and the app of a user share. It has to be kept as it is: codes are computed from it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shared {
    /// The key, base64url.
    key: String,
    /// The last time step of which a code was taken.
    last: u64,
}

impl Shared {
    /// A new one: 160 bits.
    pub fn new() -> Result<Shared, Failure> {
        Ok(Shared { key: URL_SAFE_NO_PAD.encode(secret::random::<20>()?), last: 0 })
    }

    /// The same after a code was used; `None` if the code is wrong or as old as one that was used.
    pub fn used(&self, code: &str, now: Timestamp) -> Option<Shared> {
        let digits: String = code.chars().filter(|c| !c.is_whitespace()).collect();
        let step = self.generator()?.check(&digits, seconds(now))?;
        (step > self.last).then(|| Shared { key: self.key.clone(), last: step })
    }

    /// The code of a moment.
    pub fn code(&self, now: Timestamp) -> Option<String> {
        Some(self.generator()?.generate(seconds(now)).to_string())
    }

    /// The key as it is typed into an app.
    pub fn typed(&self) -> String {
        let key = secret::base32(&self.bytes());
        let groups: Vec<&str> = (0..key.len()).step_by(4).filter_map(|i| key.get(i..(i + 4).min(key.len()))).collect();
        groups.join(" ")
    }

    /// The address that apps read from a QR code.
    pub fn address(&self, issuer: &str, name: &str) -> String {
        let coded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let (issuer, name) = (coded(issuer), coded(name));
        format!("otpauth://totp/{issuer}:{name}?secret={}&issuer={issuer}", secret::base32(&self.bytes()))
    }

    fn bytes(&self) -> Vec<u8> {
        URL_SAFE_NO_PAD.decode(&self.key).unwrap_or_default()
    }

    fn generator(&self) -> Option<totp_rs::Totp> {
        let key: [u8; 20] = self.bytes().try_into().ok()?;
        totp_rs::Builder::new().with_secret(totp_rs::Secret::new_stack(key)).build().ok()
    }
}

fn seconds(now: Timestamp) -> u64 {
    u64::try_from(now.0 / 1_000_000).unwrap_or_default()
}

/// The path of an SVG drawing of a text as a QR code, one unit a module, and how wide it is with its quiet zone.
pub fn drawing(text: &str) -> Option<(String, i32)> {
    const QUIET: i32 = 4;
    let code = QrCode::encode_text(text, QrCodeEcc::Medium).ok()?;
    let mut path = String::new();
    for y in 0..code.size() {
        for x in (0..code.size()).filter(|&x| code.get_module(x, y)) {
            path.push_str(&format!("M{} {}h1v1h-1z", x + QUIET, y + QUIET));
        }
    }
    Some((path, code.size() + 2 * QUIET))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_of_the_rfc_and_good_once() {
        // RFC 6238, appendix B: the key is "12345678901234567890", at 59 s the last six digits are 287082.
        let shared = Shared { key: URL_SAFE_NO_PAD.encode("12345678901234567890"), last: 0 };
        let now = Timestamp(59_000_000);
        assert_eq!(shared.code(now).as_deref(), Some("287082"));
        let used = shared.used("287 082", now).expect("right");
        assert_eq!(used.used("287082", now), None, "a second time");
        assert_eq!(shared.used("287083", now), None);
        assert_eq!(shared.used("", now), None);
        assert!(used.used(&used.code(Timestamp(95_000_000)).expect("a code"), Timestamp(95_000_000)).is_some());
        assert_eq!(shared.used("287082", Timestamp(200_000_000)), None, "too old");
    }

    #[test]
    fn the_address_names_issuer_and_user() {
        let shared = Shared { key: URL_SAFE_NO_PAD.encode("12345678901234567890"), last: 0 };
        let address = shared.address("Vesta", "k. asante");
        assert_eq!(address, "otpauth://totp/Vesta:k%2E%20asante?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Vesta");
        assert_eq!(shared.typed(), "GEZD GNBV GY3T QOJQ GEZD GNBV GY3T QOJQ");
        let (path, width) = drawing(&address).expect("fits");
        assert!(path.len() > 1000 && width > 30);
    }
}
