//! The bytes of an HTTP/1 connection. What actix-http refuses before a request has come to be (a request line or a
//! header that is not HTTP, headers too long or too slow) it answers with a status and nothing else, and closes; here
//! that answer gets its OperationOutcome on the way out. Everything else passes as it is.

use super::request_id;
use crate::base::{Issue, IssueCode};
use crate::interaction::outcome;
use bytes::{Buf, Bytes};
use memchr::memmem;
use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Longest answer of the parser that is looked for.
const LONGEST: usize = 256;

/// A connection, plain or by TLS.
pub struct Connection<T> {
    io: T,
    /// Whether what it carries is left alone: it is no HTTP/1, or content that a client stored ends like an answer.
    verbatim: Verbatim,
    /// What is written before anything else.
    first: Bytes,
}

/// Tells a connection to pass everything as it is from now on.
#[derive(Clone, Default)]
pub struct Verbatim(Rc<Cell<bool>>);

impl Verbatim {
    /// To be said before content is written that ends as the head of an answer does.
    pub fn say(&self) {
        self.0.set(true);
    }
}

impl<T> Connection<T> {
    /// Looks after the answers on a connection, if it speaks HTTP/1.
    pub fn new(io: T, is_http1: bool) -> Connection<T> {
        Connection { io, verbatim: Verbatim(Rc::new(Cell::new(!is_http1))), first: Bytes::new() }
    }

    /// By which it is told to pass everything as it is.
    pub fn verbatim(&self) -> Verbatim {
        self.verbatim.clone()
    }
}

impl<T: AsyncWrite + Unpin> Connection<T> {
    /// Writes what comes first.
    fn poll_first(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.first.has_remaining() {
            let written = ready!(Pin::new(&mut self.io).poll_write(context, &self.first))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.first.advance(written);
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Connection<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(context, buffer)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Connection<T> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_first(context))?;
        match bare_answer(bytes).filter(|_| !self.verbatim.0.get()) {
            None => Pin::new(&mut self.io).poll_write(context, bytes),
            Some(0) => {
                self.first = with_outcome(bytes);
                Poll::Ready(Ok(bytes.len()))
            }
            // What is before it, first.
            Some(at) => Pin::new(&mut self.io).poll_write(context, &bytes[..at]),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_first(context))?;
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_first(context))?;
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}

/// Where, at the end of what is written, an answer of the parser stands. Those of the handler all name their request.
fn bare_answer(bytes: &[u8]) -> Option<usize> {
    if !bytes.ends_with(b"\r\n\r\n") {
        return None;
    }
    let from = bytes.len().saturating_sub(LONGEST);
    let at = from + memmem::rfind(&bytes[from..], b"HTTP/1.1 4")?;
    let head = &bytes[at..];
    let has = |what: &[u8]| memmem::find(head, what).is_some();
    (has(b"\r\ncontent-length: 0\r\n") && !has(request_id::X_REQUEST_ID.as_str().as_bytes())).then_some(at)
}

/// An answer of the parser with an OperationOutcome.
fn with_outcome(head: &[u8]) -> Bytes {
    let head = String::from_utf8_lossy(head);
    let (code, why) = match head.get(9..12) {
        Some("408") => (IssueCode::Timeout, "the headers came too slowly"),
        Some("431") => (IssueCode::TooLong, "the headers are larger than this server accepts"),
        _ => (
            IssueCode::Structure,
            "this is no HTTP request: its first line or a header breaks the rules (in the address, all but ASCII, and \
             the characters \" < > too, must be percent-encoded)",
        ),
    };
    let body = outcome::write(&[Issue::error(code, why)]);
    let id = request_id::random();
    let headers = format!(
        "\r\ncontent-length: {}\r\ncontent-type: application/fhir+json;charset=utf-8\r\ncache-control: no-store\r\n{}: \
         {}\r\nx-content-type-options: nosniff\r\n",
        body.len(),
        request_id::X_REQUEST_ID,
        id.to_str().unwrap_or_default(),
    );
    Bytes::from(head.replacen("\r\ncontent-length: 0\r\n", &headers, 1) + &body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    const BARE: &[u8] =
        b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\ndate: Thu, 26 Nov 2026 16:21:04 GMT\r\n\r\n";

    async fn sent(verbatim: bool, bytes: &[u8]) -> String {
        // A narrow pipe: it takes several writes.
        let (near, mut far) = duplex(32);
        let mut connection = Connection::new(near, true);
        if verbatim {
            connection.verbatim().say();
        }
        let read = async {
            let mut text = String::new();
            far.read_to_string(&mut text).await.expect("text");
            text
        };
        let write = async {
            connection.write_all(bytes).await.expect("written");
            connection.shutdown().await.expect("closed");
        };
        tokio::join!(write, read).1
    }

    #[tokio::test]
    async fn an_answer_of_the_parser_gets_an_outcome() {
        let before = b"HTTP/1.1 200 OK\r\nx-request-id: a\r\ncontent-length: 2\r\n\r\n{}";
        let text = sent(false, &[before, BARE].concat()).await;
        let (first, second) = text.split_at(before.len());
        assert_eq!(first.as_bytes(), before);
        let (head, body) = second.split_once("\r\n\r\n").expect("a head and a body");
        assert!(head.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{head}");
        assert!(head.contains(&format!("content-length: {}\r\n", body.len())), "{head}");
        assert!(body.starts_with("{\"resourceType\":\"OperationOutcome\""), "{body}");
    }

    #[tokio::test]
    async fn everything_else_passes_as_it_is() {
        assert_eq!(sent(true, BARE).await.as_bytes(), BARE);
        let own = "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\nx-request-id: a\r\n\r\n";
        assert_eq!(sent(false, own.as_bytes()).await, own);
        assert_eq!(sent(false, b"HTTP/1.1 400 Bad Request").await, "HTTP/1.1 400 Bad Request");
    }
}
