//! Asking other servers: whom this machine trusts, and how long is waited.

use std::path::PathBuf;
use std::time::Duration;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

/// What asks a server that the settings or the command line name: no redirects, any status is an answer. Made once and
/// kept: it reads the certificates.
pub fn agent(patience: Duration) -> ureq::Agent {
    ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .timeout_global(Some(patience))
        .tls_config(TlsConfig::builder().root_certs(roots()).build())
        .build()
        .new_agent()
}

/// The certificates that this machine trusts: the file that `SSL_CERT_FILE` names, else the system's.
pub fn roots() -> RootCerts {
    const PLACES: [&str; 4] = [
        "/etc/ssl/certs/ca-certificates.crt",
        "/etc/pki/tls/certs/ca-bundle.crt",
        "/etc/ssl/ca-bundle.pem",
        "/etc/ssl/cert.pem",
    ];
    let named = std::env::var_os("SSL_CERT_FILE").map(PathBuf::from);
    let found = named.into_iter().chain(PLACES.map(PathBuf::from)).find_map(|file| std::fs::read(file).ok());
    let certificates: Vec<Certificate<'static>> = ureq::tls::parse_pem(&found.unwrap_or_default())
        .filter_map(|item| match item {
            Ok(ureq::tls::PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect();
    RootCerts::new_with_certs(&certificates)
}
