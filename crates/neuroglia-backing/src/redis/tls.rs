//! Who a server is over TLS: by rustls with ring, and never on trust.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use super::location::Trust;

/// What verifies the server's certificate.
///
/// # Errors
/// What is wrong with the file of authorities, as a fragment.
pub(super) async fn client(trust: &Trust) -> Result<Arc<ClientConfig>, String> {
    let roots = match trust.authorities.clone() {
        None => webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect(),
        Some(file) => {
            let read = tokio::task::spawn_blocking(move || authorities(&file)).await;
            read.map_err(|_| "the process is ending".to_owned())??
        }
    };
    // The provider is named, so that nothing depends on what the process has installed.
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS cannot be used: {error}"))?;
    Ok(Arc::new(config.with_root_certificates(roots).with_no_client_auth()))
}

fn authorities(file: &Path) -> Result<RootCertStore, String> {
    let wrong = |what: &dyn std::fmt::Display| format!("the file that cacert names cannot be used: {what}");
    let pem = fs::read(file).map_err(|error| wrong(&error))?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let added = certificate.map_err(|error| error.to_string());
        added
            .and_then(|certificate| roots.add(certificate).map_err(|error| error.to_string()))
            .map_err(|error| wrong(&error))?;
    }
    if roots.is_empty() {
        return Err(wrong(&"it holds no certificate in PEM"));
    }
    Ok(roots)
}
