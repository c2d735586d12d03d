//! The certificates of cameras. They sign themselves, so no authority vouches for them: what counts is that a camera shows the same one as before.

use ring::digest::{SHA256, digest};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// The SHA-256 of a certificate (DER). `Display` and `Debug` are 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    fn of(certificate: &CertificateDer<'_>) -> Self {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest(&SHA256, certificate).as_ref());
        Self(bytes)
    }

    /// Reads 64 hexadecimal digits.
    pub fn parse(digits: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        if digits.len() != 64 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        for (at, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(digits.get(at * 2..at * 2 + 2)?, 16).ok()?;
        }
        Some(Self(bytes))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(to, "{byte:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "{self}")
    }
}

/// Accepts one certificate: the known one, or else the first that it sees.
#[derive(Debug)]
pub(crate) struct SameCertificate {
    known: Mutex<Option<Fingerprint>>,
    /// One that was refused.
    other: Mutex<Option<Fingerprint>>,
    provider: Arc<CryptoProvider>,
}

impl SameCertificate {
    pub(crate) fn new(known: Option<Fingerprint>, provider: Arc<CryptoProvider>) -> Self {
        Self { known: Mutex::new(known), other: Mutex::default(), provider }
    }

    /// The known one, if there has been any.
    pub(crate) fn known(&self) -> Option<Fingerprint> {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One that was refused since this was last asked.
    pub(crate) fn take_other(&self) -> Option<Fingerprint> {
        self.other.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// The handshake has shown that the other end holds the certificate's key. `Err`: another connection has found another one meanwhile.
    pub(crate) fn keep(&self, certificate: &CertificateDer<'_>) -> Result<(), Fingerprint> {
        let found = Fingerprint::of(certificate);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if *known.get_or_insert(found) == found { Ok(()) } else { Err(found) }
    }
}

impl ServerCertVerifier for SameCertificate {
    // Names and dates of cameras' certificates are wrong as a rule: they were made in the factory, with a clock that stood still.
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let found = Fingerprint::of(end_entity);
        if self.known().is_none_or(|known| known == found) {
            return Ok(ServerCertVerified::assertion());
        }
        *self.other.lock().unwrap_or_else(PoisonError::into_inner) = Some(found);
        Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_read_as_it_is_shown_and_nothing_else() {
        let digits = "00ff".repeat(16);
        assert_eq!(Fingerprint::parse(&digits).map(|read| read.to_string()), Some(digits.clone()));
        assert_eq!(Fingerprint::parse(&digits.to_uppercase()), Fingerprint::parse(&digits));
        for wrong in ["", "00", &"+f".repeat(32), &"zz".repeat(32), &"é".repeat(32), &"0".repeat(65)] {
            assert_eq!(Fingerprint::parse(wrong), None, "{wrong}");
        }
    }
}
