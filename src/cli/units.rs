//! Sizes and times as people write them: `64MB`, `30s`. Multiples of bytes are powers of 1024.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A number of bytes: `512`, `16kB`, `64MB`, `1GB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Size(pub usize);

/// A time: `500ms`, `30s`, `2m`, `1h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Span(pub Duration);

/// The number and the unit of a text.
fn split(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    Some((text[..end].parse().ok()?, text[end..].trim()))
}

impl std::str::FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let factor = |unit: &str| match unit {
            "" | "B" => Some(1),
            "kB" => Some(1 << 10),
            "MB" => Some(1 << 20),
            "GB" => Some(1u64 << 30),
            _ => None,
        };
        let bytes = split(text.trim()).and_then(|(n, unit)| n.checked_mul(factor(unit)?));
        let size = bytes.and_then(|b| usize::try_from(b).ok()).map(Size);
        size.ok_or_else(|| format!("{text:?} is no size such as 512, 16kB, 64MB or 1GB"))
    }
}

impl std::str::FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let factor = |unit: &str| match unit {
            "ms" => Some(1),
            "s" => Some(1000),
            "m" => Some(60_000),
            "h" => Some(3_600_000),
            _ => None,
        };
        let time = split(text.trim()).and_then(|(n, unit)| n.checked_mul(factor(unit)?));
        time.map(|ms| Span(Duration::from_millis(ms)))
            .ok_or_else(|| format!("{text:?} is no time such as 500ms, 30s, 2m or 1h"))
    }
}

impl TryFrom<String> for Size {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl TryFrom<String> for Span {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Size> for String {
    fn from(size: Size) -> String {
        size.0.to_string()
    }
}

impl From<Span> for String {
    fn from(span: Span) -> String {
        format!("{}ms", span.0.as_millis())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times() {
        assert_eq!("64MB".parse(), Ok(Size(64 << 20)));
        assert_eq!("512".parse(), Ok(Size(512)));
        assert!("64XB".parse::<Size>().is_err());
        assert!("".parse::<Size>().is_err());
        assert_eq!("30s".parse(), Ok(Span(Duration::from_secs(30))));
        assert_eq!("1h".parse(), Ok(Span(Duration::from_secs(3600))));
        assert!("30".parse::<Span>().is_err());
        assert!("99999999999999999999h".parse::<Span>().is_err());
    }
}
