//! Content encodings: gzip in both directions (RFC 9110 8.4). A body that is unpacked stays within a bound, so that
//! a small request cannot become a large one.

use super::negotiate::quality;
use crate::base::{Failure, FailureKind, IssueCode};
use actix_web::http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, HeaderMap};
use bytes::Bytes;
use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::io::{Read, Write};

/// Answers up to this size are sent as they are: packing would cost more than it saves.
pub const SMALLEST: usize = 1024;

/// Whether the client takes gzip.
pub fn accepts_gzip(headers: &HeaderMap) -> bool {
    let Some(accepted) = headers.get(ACCEPT_ENCODING).and_then(|v| v.to_str().ok()) else {
        return false;
    };
    let of = |wanted: &str| {
        let named = |range: &&str| range.split(';').next().is_some_and(|c| c.trim().eq_ignore_ascii_case(wanted));
        accepted.split(',').find(named).map(quality)
    };
    // What is named by itself counts before the star (RFC 9110 12.5.3).
    of("gzip").or_else(|| of("*")).is_some_and(|quality| quality > 0)
}

/// Packs an answer.
pub fn pack(body: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::fast());
    encoder.write_all(body)?;
    encoder.finish()
}

/// Packed forms of answers that are large, often asked for and seldom other ones: what the server declares.
#[derive(Default)]
pub struct Kept(Mutex<VecDeque<(Bytes, Bytes)>>);

/// Answers that are kept at most. There is one for each base, which the client names, and format.
const MOST_KEPT: usize = 16;

impl Kept {
    /// Packs an answer, or gives what came of it before. The whole answer is compared: that is much cheaper than
    /// packing, and no address or header can lead to the wrong one.
    pub fn pack(&self, body: &Bytes) -> std::io::Result<Bytes> {
        if let Some((_, packed)) = self.0.lock().iter().find(|(plain, _)| plain == body) {
            return Ok(packed.clone());
        }
        let packed = Bytes::from(pack(body)?);
        let mut kept = self.0.lock();
        if kept.len() >= MOST_KEPT {
            kept.pop_front();
        }
        kept.push_back((body.clone(), packed.clone()));
        Ok(packed)
    }
}

/// Whether the body of a request is packed.
pub fn is_packed(headers: &HeaderMap) -> Result<bool, Failure> {
    match headers.get(CONTENT_ENCODING).map(|v| v.as_bytes()) {
        None | Some(b"" | b"identity") => Ok(false),
        Some(coding) if coding.eq_ignore_ascii_case(b"gzip") || coding.eq_ignore_ascii_case(b"x-gzip") => Ok(true),
        Some(_) => Err(Failure::new(
            FailureKind::UnsupportedMedia,
            IssueCode::NotSupported,
            "of the content encodings only gzip can be read",
        )),
    }
}

/// Unpacks the body of a request; `limit` bytes at most.
pub fn unpack(body: &[u8], limit: usize) -> Result<Vec<u8>, Failure> {
    let mut out = Vec::new();
    let read = MultiGzDecoder::new(body).take(limit as u64 + 1).read_to_end(&mut out);
    if out.len() > limit {
        return Err(super::limits::too_large(limit));
    }
    read.map_err(|_| Failure::malformed(IssueCode::Structure, "the body is not whole, well-formed gzip"))?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::HeaderValue;

    #[test]
    fn who_takes_gzip() {
        for (accepted, expected) in
            [("gzip", true), ("br, GZIP;q=0.5", true), ("*", true), ("br", false), ("gzip;q=0, *", false), ("", false)]
        {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static(accepted));
            assert_eq!(accepts_gzip(&headers), expected, "{accepted}");
        }
    }

    #[test]
    fn packing_is_reversed() {
        let text = "FHIR ".repeat(1000);
        let packed = pack(text.as_bytes()).expect("gzip");
        assert!(packed.len() < 200);
        assert_eq!(unpack(&packed, 5000).expect("fits"), text.as_bytes());
        assert_eq!(unpack(&packed, 4999).expect_err("one too many").kind, FailureKind::TooLarge);
        assert_eq!(unpack(&packed[..50], 5000).expect_err("cut off").kind, FailureKind::Malformed);
    }

    #[test]
    fn kept_answers_are_packed_once_and_bounded() {
        let kept = Kept::default();
        let body = |n: usize| Bytes::from(format!("{n} FHIR ").repeat(500));
        let first = kept.pack(&body(0)).expect("gzip");
        assert_eq!(unpack(&first, 10_000).expect("fits"), body(0));
        assert_eq!(kept.pack(&body(0)).expect("gzip").as_ptr(), first.as_ptr());
        for n in 1..=MOST_KEPT {
            assert_eq!(unpack(&kept.pack(&body(n)).expect("gzip"), 10_000).expect("fits"), body(n));
        }
        assert_eq!(kept.0.lock().len(), MOST_KEPT);
    }
}
