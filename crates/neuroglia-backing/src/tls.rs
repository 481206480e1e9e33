//! TLS for drivers that take a configuration: rustls with ring, and the authorities that browsers trust.

use std::path::Path;
use std::sync::Arc;

use neuroglia::error::{Error, Result};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

/// A client that trusts the public authorities, or only those in a PEM file.
///
/// # Errors
/// `Invalid` when the file cannot be read, or has no certificate in it.
pub(crate) fn client_config(authority: Option<&Path>) -> Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    match authority {
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        Some(path) => {
            let refused = |cause: String| {
                let detail = format!("{} holds no certificate authority in PEM: {cause}", path.display());
                Error::invalid("tls.authority", detail)
            };
            for certificate in
                CertificateDer::pem_file_iter(path).map_err(|cause| refused(cause.to_string()))?
            {
                let certificate = certificate.map_err(|cause| refused(cause.to_string()))?;
                roots.add(certificate).map_err(|cause| refused(cause.to_string()))?;
            }
            if roots.is_empty() {
                return Err(refused("it is empty".to_owned()));
            }
        }
    }
    // The provider is named, as an application may be linked with several.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    Ok(versions.map_err(Error::internal)?.with_root_certificates(roots).with_no_client_auth())
}
