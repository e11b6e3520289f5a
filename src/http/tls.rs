//! TLS from two PEM files, by rustls with the provider that `main` has installed.

use super::site::TlsFiles;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::io;

/// The configuration of the server's side: TLS 1.2 and 1.3, HTTP/2 before HTTP/1, no client certificates.
pub fn configuration(files: &TlsFiles) -> io::Result<ServerConfig> {
    let wrong = |what: &str, why: &dyn std::fmt::Display| io::Error::other(format!("{what}: {why}"));
    let name = files.certificates.display().to_string();
    let certificates = CertificateDer::pem_file_iter(&files.certificates)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|e| wrong(&name, &e))?;
    if certificates.is_empty() {
        return Err(wrong(&name, &"there is no certificate in it"));
    }
    let name = files.key.display().to_string();
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|e| wrong(&name, &e))?;
    let mut configuration = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(certificates, key)
        .map_err(|e| wrong("certificate and key", &e))?;
    configuration.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(configuration)
}
