//! TLS for drivers that take a configuration: rustls with ring, and the authorities that browsers trust.

use std::fmt;
use std::fs;
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
    let roots = match authority {
        None => webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect(),
        Some(path) => authorities(path).map_err(|fault| Error::invalid("tls.authority", fault))?,
    };
    // The provider is named, as an application may be linked with several.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    Ok(versions.map_err(Error::internal)?.with_root_certificates(roots).with_no_client_auth())
}

/// The authorities in a PEM file.
fn authorities(path: &Path) -> Result<RootCertStore, String> {
    let refused = |cause: &dyn fmt::Display| {
        format!("the file of authorities, {}, cannot be used: {cause}", path.display())
    };
    let pem = fs::read(path).map_err(|cause| refused(&cause))?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|cause| refused(&cause))?;
        roots.add(certificate).map_err(|cause| refused(&cause))?;
    }
    if roots.is_empty() {
        return Err(refused(&"it holds no certificate in PEM"));
    }
    Ok(roots)
}
