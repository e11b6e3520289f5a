//! The server under test: wired as the program wires it, in a thread of this process.

use super::Client;
use std::net::SocketAddr;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use tokio::sync::oneshot;
use vesta::authorization::Authorization;
use vesta::cli::settings::{Auth, Settings};
use vesta::cli::wire;
use vesta::definitions::Definitions;
use vesta::http::{Options, Server};
use vesta::interaction::Service;

/// What a server is made of.
pub type Parts = (Arc<Service>, Option<Arc<Authorization>>, Arc<Definitions>);

/// A running server; it stops when this is dropped, and its data are gone then.
pub struct TestServer {
    pub base: String,
    pub metrics: Option<SocketAddr>,
    /// Where it listens, whatever its base says.
    pub listens: SocketAddr,
    /// The authorization server, if access control is on.
    pub authorization: Option<Arc<Authorization>>,
    client: Client,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    _data: tempfile::TempDir,
    #[cfg(feature = "mongodb")]
    _database: Option<super::mongodb::TestDatabase>,
}

impl TestServer {
    /// A server with the default settings.
    pub fn start() -> TestServer {
        TestServer::with(Settings::default())
    }

    /// A server with these settings; port and data directory are chosen here. Access control is off unless they say
    /// otherwise. With `VESTA_TEST_STORE=mongodb` it is on a database of its own.
    pub fn with(settings: Settings) -> TestServer {
        let data = tempfile::tempdir().expect("a temporary directory");
        let settings = Settings { data: Some(data.path().to_owned()), ..settings };
        #[cfg(feature = "mongodb")]
        if settings.store.is_none() && super::mongodb::is_asked_for() {
            let database = super::mongodb::TestDatabase::new().expect("VESTA_TEST_MONGODB_URI names a replica set");
            let store = Some(database.uri().to_owned());
            let mut server = TestServer::on(Settings { store, ..settings }, data);
            server._database = Some(database);
            return server;
        }
        TestServer::on(settings, data)
    }

    /// A server on the data directory of the settings, which stays when it is dropped.
    pub fn again(settings: Settings) -> TestServer {
        TestServer::on(settings, tempfile::tempdir().expect("a temporary directory"))
    }

    fn on(settings: Settings, data: tempfile::TempDir) -> TestServer {
        // Only the first call installs it.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let settings = Settings {
            bind: Some(settings.bind.unwrap_or(SocketAddr::from(([127, 0, 0, 1], 0)))),
            workers: settings.workers.or(Some(2)),
            log_requests: Some(false),
            auth: settings.auth.or(Some(Auth::Off)),
            ..settings
        };
        let options = settings.http();
        TestServer::over(options, data, move || {
            let mut wired = wire::open(&settings);
            // A server that was there before may need a moment to let go of the directory.
            for _ in 0..200 {
                match &wired {
                    Err(fault) if fault.to_string().contains("in use") => {
                        std::thread::sleep(std::time::Duration::from_millis(100));
                        wired = wire::open(&settings);
                    }
                    _ => break,
                }
            }
            let wired = wired.expect("the store opens");
            (wired.service, wired.authorization, wired.definitions)
        })
    }

    /// A server over a service that the test has made.
    pub fn over(
        options: Options,
        data: tempfile::TempDir,
        service: impl FnOnce() -> Parts + Send + 'static,
    ) -> TestServer {
        let (stop, stopped) = oneshot::channel::<()>();
        let (started, start) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            let (service, authorization, definitions) = service();
            let kept = authorization.clone();
            actix_web::rt::System::new().block_on(async {
                let following = service.clone();
                actix_web::rt::spawn(async move { following.follow().await });
                let server = Server::bind(service, authorization, definitions, options).expect("binds");
                let at = (server.address(), server.metrics_address());
                started.send((server.base(), at, kept)).expect("the test waits");
                let told = async {
                    let _ = stopped.await;
                };
                server.run(told).await.expect("runs");
            });
        });
        let (base, (listens, metrics), authorization) = start.recv().expect("the server starts");
        let client = Client::new(&base);
        TestServer {
            base,
            metrics,
            listens,
            authorization,
            client,
            stop: Some(stop),
            thread: Some(thread),
            _data: data,
            #[cfg(feature = "mongodb")]
            _database: None,
        }
    }

    /// `host:port`
    pub fn address(&self) -> String {
        self.base.split('/').nth(2).expect("a host").to_owned()
    }
}

impl std::ops::Deref for TestServer {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            if !std::thread::panicking() {
                ended.expect("the server ends well");
            }
        }
    }
}
