//! The bounds of a request: size and time of the body, size of the headers, length of the address. What comes before a
//! request is whole is bounded by actix-web: the time for the headers ([`Limits::header_time`]), and their size at
//! 128 kB by HTTP/1.1 and 16 MB by HTTP/2.

use super::held::Share;
use crate::base::{Failure, FailureKind, IssueCode};
use actix_web::http::header::{CONTENT_LENGTH, HeaderMap};
use actix_web::web;
use futures_util::StreamExt;
use std::time::Duration;

/// What a request may use at most.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes of a body, packed and unpacked.
    pub body: usize,
    /// Bytes of all bodies that are held at the same time, packed and unpacked.
    pub bodies: usize,
    /// Bytes of path and query.
    pub url: usize,
    /// Bytes of all headers, names and values.
    pub headers: usize,
    /// Time for the head of a request.
    pub header_time: Duration,
    /// Time for the whole body.
    pub body_time: Duration,
    /// Longest silence within a body.
    pub silence: Duration,
    /// How long an idle connection stays open.
    pub keep_alive: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            body: 64 << 20,
            bodies: 512 << 20,
            url: 16 << 10,
            headers: 64 << 10,
            header_time: Duration::from_secs(5),
            body_time: Duration::from_secs(120),
            silence: Duration::from_secs(15),
            keep_alive: Duration::from_secs(75),
        }
    }
}

/// The bytes of all headers, by name and value.
pub fn size_of(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum()
}

/// Why a body could not be had.
#[derive(Debug)]
pub enum BodyError {
    /// It is too large or broken.
    Refused(Failure),
    /// It came too slowly: 408.
    TooSlow,
}

/// The failure for a body over the bound.
pub fn too_large(limit: usize) -> Failure {
    Failure::new(
        FailureKind::TooLarge,
        IssueCode::TooLong,
        format!("the body is larger than this server accepts ({limit} bytes)"),
    )
}

/// The length of a body as its request announces it.
pub fn announced(headers: &HeaderMap) -> Option<usize> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Reads the body of a request within the bounds, whether or not its length was announced. What is read is added to
/// the request's share of all bodies.
pub async fn body(
    headers: &HeaderMap,
    mut payload: web::Payload,
    limits: &Limits,
    share: &mut Share,
) -> Result<Vec<u8>, BodyError> {
    let announced = announced(headers);
    if announced.is_some_and(|length| length > limits.body) {
        discard(payload).await;
        return Err(BodyError::Refused(too_large(limits.body)));
    }
    let mut bytes = Vec::with_capacity(announced.unwrap_or(0).min(1 << 20));
    let read = async {
        while let Some(chunk) = tokio::time::timeout(limits.silence, payload.next()).await? {
            let Ok(chunk) = chunk else { return Ok(Err(cut_off())) };
            if bytes.len() + chunk.len() > limits.body {
                return Ok(Err(too_large(limits.body)));
            }
            if let Err(failure) = share.take(chunk.len()) {
                return Ok(Err(failure));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(Ok(()))
    };
    let result: Result<Result<(), Failure>, tokio::time::error::Elapsed> =
        tokio::time::timeout(limits.body_time, read).await.unwrap_or_else(Err);
    match result {
        Ok(Ok(())) => Ok(bytes),
        Ok(Err(failure)) => {
            discard(payload).await;
            Err(BodyError::Refused(failure))
        }
        Err(_) => Err(BodyError::TooSlow),
    }
}

fn cut_off() -> Failure {
    Failure::malformed(IssueCode::Incomplete, "the body ended before its announced length or is badly chunked")
}

/// Reads on for a moment, so that a client that only sends at first gets to see the answer instead of a reset
/// connection. Nothing is kept; who sends for longer is cut off, and who sends nothing is answered at once.
pub async fn discard(mut payload: web::Payload) {
    const SILENCE: Duration = Duration::from_millis(100);
    const ALL: Duration = Duration::from_secs(2);
    let rest = async { while let Ok(Some(Ok(_))) = tokio::time::timeout(SILENCE, payload.next()).await {} };
    let _ = tokio::time::timeout(ALL, rest).await;
}
