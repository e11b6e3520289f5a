//! Content encodings: gzip in both directions (RFC 9110 8.4). A body that is unpacked stays within a bound, so that
//! a small request cannot become a large one.

use super::negotiate::quality;
use crate::base::{Failure, FailureKind, IssueCode};
use actix_web::http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, HeaderMap};
use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use std::io::{Read, Write};

/// Answers up to this size are sent as they are: packing would cost more than it saves.
pub const SMALLEST: usize = 1024;

/// Whether the client takes gzip.
pub fn accepts_gzip(headers: &HeaderMap) -> bool {
    let Some(accepted) = headers.get(ACCEPT_ENCODING).and_then(|v| v.to_str().ok()) else {
        return false;
    };
    accepted.split(',').any(|range| {
        let coding = range.split(';').next().unwrap_or_default().trim();
        (coding.eq_ignore_ascii_case("gzip") || coding == "*") && quality(range) > 0
    })
}

/// Packs an answer.
pub fn pack(body: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::fast());
    encoder.write_all(body)?;
    encoder.finish()
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

    #[test]
    fn packing_is_reversed() {
        let text = "FHIR ".repeat(1000);
        let packed = pack(text.as_bytes()).expect("gzip");
        assert!(packed.len() < 200);
        assert_eq!(unpack(&packed, 5000).expect("fits"), text.as_bytes());
        assert_eq!(unpack(&packed, 4999).expect_err("one too many").kind, FailureKind::TooLarge);
        assert_eq!(unpack(&packed[..50], 5000).expect_err("cut off").kind, FailureKind::Malformed);
    }
}
