//! Content encodings: gzip in both directions (RFC 9110 8.4). A body that is unpacked stays within a bound, so that
//! a small request cannot become a large one.

use super::held::Share;
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

/// How much room the first piece of an unpacked body gets.
const FIRST: usize = 16 << 10;

/// Unpacks the body of a request; `limit` bytes at most. The room for it is taken from the request's share before it is
/// filled, so that what is not let through in the end counts as well while it is there.
pub fn unpack(body: &[u8], limit: usize, share: &mut Share) -> Result<Vec<u8>, Failure> {
    let most = limit.saturating_add(1);
    let mut reader = MultiGzDecoder::new(body);
    let mut out = Vec::new();
    loop {
        if out.len() > limit {
            return Err(super::limits::too_large(limit));
        }
        if out.len() == out.capacity() {
            // Twice as much, but never more than shows that it is too large.
            let more = out.capacity().max(FIRST).min(most - out.len());
            share.take(more)?;
            out.reserve_exact(more);
        }
        let room = (out.capacity() - out.len()).min(most - out.len());
        match (&mut reader).take(room as u64).read_to_end(&mut out) {
            Ok(0) => return Ok(out),
            Ok(_) => {}
            Err(_) => {
                return Err(Failure::malformed(IssueCode::Structure, "the body is not whole, well-formed gzip"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::held::Held;
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
        let unpack = |packed: &[u8], limit| super::unpack(packed, limit, &mut Held::new(1 << 20).share());
        assert_eq!(unpack(&packed, 5000).expect("fits"), text.as_bytes());
        assert_eq!(unpack(&packed, usize::MAX).expect("fits"), text.as_bytes());
        assert_eq!(unpack(&packed, 4999).expect_err("one too many").kind, FailureKind::TooLarge);
        assert_eq!(unpack(&packed[..50], 5000).expect_err("cut off").kind, FailureKind::Malformed);
    }

    #[test]
    fn what_is_unpacked_counts_before_it_is_there() {
        let text = "FHIR ".repeat(100_000);
        let packed = pack(text.as_bytes()).expect("gzip");
        let held = Held::new(700_000);
        let (mut first, mut second) = (held.share(), held.share());
        // Too large in the end, and the room is held until the request is over.
        let refused = unpack(&packed, text.len() - 1, &mut first).expect_err("one too many");
        assert_eq!(refused.kind, FailureKind::TooLarge);
        let refused = unpack(&packed, text.len(), &mut second).expect_err("no room");
        assert_eq!(refused.kind, FailureKind::Unavailable);
        drop((first, second));
        assert_eq!(unpack(&packed, text.len(), &mut held.share()).expect("fits"), text.as_bytes());
    }

    #[test]
    fn kept_answers_are_packed_once_and_bounded() {
        let kept = Kept::default();
        let body = |n: usize| Bytes::from(format!("{n} FHIR ").repeat(500));
        let unpack = |packed: &[u8], limit| super::unpack(packed, limit, &mut Held::new(1 << 20).share());
        let first = kept.pack(&body(0)).expect("gzip");
        assert_eq!(unpack(&first, 10_000).expect("fits"), body(0));
        assert_eq!(kept.pack(&body(0)).expect("gzip").as_ptr(), first.as_ptr());
        for n in 1..=MOST_KEPT {
            assert_eq!(unpack(&kept.pack(&body(n)).expect("gzip"), 10_000).expect("fits"), body(n));
        }
        assert_eq!(kept.0.lock().len(), MOST_KEPT);
    }
}
