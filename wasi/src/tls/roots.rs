//! Who is trusted: the certificates of authorities.

use alloc::vec::Vec;
use core::fmt;
use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};

/// Certificates of authorities (trust anchors). None at first.
#[derive(Clone, Debug)]
pub struct Roots(RootCertStore);

/// Not certificates that can be trusted as roots: not PEM or DER, or without what a root must have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadRoot;

impl Roots {
    /// Nobody.
    pub fn none() -> Self {
        Self(RootCertStore::empty())
    }

    /// The authorities that Mozilla trusts, as of the day that the crate `webpki-roots` was made.
    pub fn mozilla() -> Self {
        Self(RootCertStore { roots: Vec::from(webpki_roots::TLS_SERVER_ROOTS) })
    }

    /// Trusts all certificates in `text` too: PEM, what stands between them is ignored.
    ///
    /// # Errors
    /// [`BadRoot`] if one is not a certificate, or if there is none.
    pub fn add_pem(mut self, text: &[u8]) -> Result<Self, BadRoot> {
        let before = self.0.len();
        for certificate in CertificateDer::pem_slice_iter(text) {
            self = self.add_der(&certificate.map_err(|_| BadRoot)?)?;
        }
        if self.0.len() == before { Err(BadRoot) } else { Ok(self) }
    }

    /// Trusts a certificate (DER) too.
    ///
    /// # Errors
    /// [`BadRoot`] if it is not one.
    pub fn add_der(mut self, certificate: &[u8]) -> Result<Self, BadRoot> {
        self.0.add(CertificateDer::from(certificate)).map_err(|_| BadRoot)?;
        Ok(self)
    }

    pub(super) fn into_store(self) -> RootCertStore {
        self.0
    }
}

impl fmt::Display for BadRoot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not the certificate of an authority (PEM: -----BEGIN CERTIFICATE-----)")
    }
}

impl core::error::Error for BadRoot {}
