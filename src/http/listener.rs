//! The port of the FHIR base: plain or by TLS, HTTP/1 and (by TLS) HTTP/2. actix-web's own way to a port has no place
//! for what [`Connection`] does, so that its parts are put together here.

use super::connection::Connection;
use super::handler;
use super::site::Site;
use super::tls;
use actix_http::error::DispatchError;
use actix_http::{HttpService, Protocol};
use actix_server::{GracefulShutdownSignal, Server, ServerBuilder};
use actix_service::{IntoServiceFactory, ServiceFactory, ServiceFactoryExt, fn_service, map_config};
use actix_tls::accept::TlsError;
use actix_tls::accept::rustls_0_23::{Acceptor, TlsStream};
use actix_web::dev::AppConfig;
use actix_web::rt::net::TcpStream;
use actix_web::{App, HttpRequest, web};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpSocket;

/// Connections that may wait to be taken.
const WAITING: u32 = 1024;
/// The least that agreeing upon keys may take.
const HANDSHAKE: Duration = Duration::from_secs(3);
/// How long a connection that is being closed may take.
const CLOSING: Duration = Duration::from_secs(5);

/// Takes the port; the server, which begins when it is awaited, and where it is.
pub fn listen(site: &Arc<Site>) -> io::Result<(Server, SocketAddr)> {
    let options = &site.options;
    let secure = options.tls.as_ref().map(tls::configuration).transpose()?;
    let port = bind(options.bind)?;
    let address = port.local_addr()?;
    let mut server = ServerBuilder::new().disable_signals().shutdown_timeout(2);
    if options.workers > 0 {
        server = server.workers(options.workers);
    }
    let (site, stopping) = (site.clone(), server.graceful_shutdown_signal());
    let server = match secure {
        None => server.listen("http", port, move || {
            let speaks = fn_service(async |io: TcpStream| Ok(taken(io, |io| io, |_| false)));
            speaks.and_then(http(site.clone(), stopping.clone()))
        }),
        Some(configuration) => server.listen("https", port, move || {
            let mut acceptor = Acceptor::new(configuration.clone());
            acceptor.set_handshake_timeout(site.options.limits.header_time.max(HANDSHAKE));
            acceptor
                .map_err(TlsError::into_service_error)
                .and_then(async |io: TlsStream<TcpStream>| Ok(taken(io, |io| io.get_ref().0, speaks_http2)))
                .and_then(http(site.clone(), stopping.clone()).map_err(TlsError::Service))
        }),
    };
    Ok((server?.run(), address))
}

fn bind(at: SocketAddr) -> io::Result<TcpListener> {
    let socket = if at.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(at)?;
    socket.listen(WAITING)?.into_std()
}

/// A connection that was accepted, as HTTP takes it.
fn taken<T>(
    io: T,
    socket: impl Fn(&T) -> &TcpStream,
    is_http2: impl Fn(&T) -> bool,
) -> (Connection<T>, Protocol, Option<SocketAddr>) {
    let tcp = socket(&io);
    let peer = tcp.peer_addr().ok();
    if let Err(error) = tcp.set_nodelay(true) {
        tracing::debug!(%error, "answers may wait for others");
    }
    let protocol = if is_http2(&io) { Protocol::Http2 } else { Protocol::Http1 };
    (Connection::new(io, protocol == Protocol::Http1), protocol, peer)
}

/// What answers on connections.
fn http<T: AsyncRead + AsyncWrite + Unpin + 'static>(
    site: Arc<Site>,
    stopping: GracefulShutdownSignal,
) -> impl ServiceFactory<
    (Connection<T>, Protocol, Option<SocketAddr>),
    Config = (),
    Response = (),
    Error = DispatchError,
    InitError = (),
> {
    let (keep_alive, header_time) = (site.options.limits.keep_alive, site.options.limits.header_time);
    let app = App::new().default_service(web::to(move |request: HttpRequest, payload: web::Payload| {
        handler::handle(site.clone(), request, payload)
    }));
    let app = app.into_factory().map_err(|error| error.error_response());
    HttpService::build()
        .graceful_shutdown_signal(move || {
            let stopping = stopping.clone();
            async move { stopping.notified().await }
        })
        .keep_alive(keep_alive)
        .client_request_timeout(header_time)
        .client_disconnect_timeout(CLOSING)
        // Who has closed the connection waits for no answer: the work for it ends.
        .h1_allow_half_closed(false)
        .on_connect_ext(|connection: &Connection<T>, of_connection| {
            of_connection.insert(connection.verbatim());
        })
        .finish(map_config(app, |()| AppConfig::default()))
}

fn speaks_http2(io: &TlsStream<TcpStream>) -> bool {
    io.get_ref().1.alpn_protocol() == Some(b"h2")
}
