//! TLS before a server that speaks HTTP in the clear.

use std::path::PathBuf;
use std::sync::Arc;

use neuroglia_testing::services::Certificate;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// A port with a certificate for `localhost`; it ends with the test's runtime.
pub(crate) struct Encrypted {
    certificate: Certificate,
    port: u16,
}

impl Encrypted {
    /// One that leads to this port of this machine.
    pub(crate) async fn before(server: u16) -> Self {
        let certificate = Certificate::of("localhost");
        let chain = CertificateDer::pem_file_iter(certificate.chain()).expect("a file");
        let chain = chain.map(|certificate| certificate.expect("a certificate")).collect();
        let key = PrivateKeyDer::from_pem_file(certificate.key()).expect("a key");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let versions = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = versions.expect("sound versions").with_no_client_auth().with_single_cert(chain, key);
        let acceptor = TlsAcceptor::from(Arc::new(config.expect("a key for the certificate")));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("it has an address").port();
        tokio::spawn(async move {
            while let Ok((visitor, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    // Who does not like the certificate, or speaks in the clear, goes without a word.
                    let mut visitor = acceptor.accept(visitor).await?;
                    let mut server = TcpStream::connect(("127.0.0.1", server)).await?;
                    copy_bidirectional(&mut visitor, &mut server).await
                });
            }
        });
        Self { certificate, port }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The certificate of the authority that certified it.
    pub(crate) fn authority(&self) -> PathBuf {
        self.certificate.authority()
    }
}
