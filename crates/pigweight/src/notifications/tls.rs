//! TLS of connections to other programs: rustls with ring, which the connections to inference servers use as well.

use anyhow::Context as _;
use std::path::Path;
use std::sync::Arc;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// Ciphers and signatures.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// The certificates that this machine trusts.
///
/// # Errors
/// If there are none.
pub fn trusted_by_machine() -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::warn!("a certificate that this machine trusts cannot be read: {error}");
    }
    anyhow::ensure!(
        !found.certs.is_empty(),
        "this machine trusts no certificates, so TLS can't be used; install ca-certificates"
    );
    Ok(found.certs)
}

/// Connects by TLS, and trusts the certificates of a PEM file, or those that this machine trusts.
///
/// # Errors
/// If they can't be read.
pub fn connector(ca_file: Option<&Path>) -> anyhow::Result<TlsConnector> {
    let mut roots = RootCertStore::empty();
    match ca_file {
        Some(file) => {
            let unreadable = || format!("the certificates in {} cannot be read", file.display());
            for certificate in CertificateDer::pem_file_iter(file).with_context(unreadable)? {
                roots.add(certificate.with_context(unreadable)?).with_context(unreadable)?;
            }
            anyhow::ensure!(!roots.is_empty(), "{} holds no certificate in PEM", file.display());
        }
        None => {
            // Some machines trust certificates that rustls can't use, and others that it can.
            let (_usable, _unusable) = roots.add_parsable_certificates(trusted_by_machine()?);
        }
    }
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}
