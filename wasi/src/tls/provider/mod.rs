//! What rustls asks of cryptography, by the crates of RustCrypto and dalek: no C, no assembly files, no standard library. Only what
//! a client of today's servers needs: TLS 1.3 with its three cipher suites, two groups, and the signatures that certificates have.

mod aead;
mod exchange;
mod hash;
mod random;
mod signature;

pub(super) use random::stir;

use alloc::{sync::Arc, vec::Vec};
use rustls::{
    CipherSuite, CipherSuiteCommon, Error, SupportedCipherSuite, Tls13CipherSuite,
    crypto::{CryptoProvider, KeyProvider, tls13::HkdfUsingHmac},
    pki_types::PrivateKeyDer,
    sign::SigningKey,
};
use sha2::{Sha256, Sha384};

/// All of it.
pub(super) fn provider() -> CryptoProvider {
    CryptoProvider {
        cipher_suites: Vec::from([&AES_128, &AES_256, &CHACHA20].map(SupportedCipherSuite::Tls13)),
        kx_groups: Vec::from(exchange::GROUPS),
        signature_verification_algorithms: signature::ALGORITHMS,
        secure_random: &random::Random,
        key_provider: &NoKeys,
    }
}

/// Messages that AES-GCM keeps secret with one key (rustls's advice); then the key is changed.
const GCM_MESSAGES: u64 = 1 << 24;

static AES_128: Tls13CipherSuite = Tls13CipherSuite {
    common: CipherSuiteCommon {
        suite: CipherSuite::TLS13_AES_128_GCM_SHA256,
        hash_provider: &hash::Algorithm::<Sha256>::NEW,
        confidentiality_limit: GCM_MESSAGES,
    },
    hkdf_provider: &HkdfUsingHmac(&hash::Algorithm::<Sha256>::NEW),
    aead_alg: &aead::Algorithm::<aes_gcm::Aes128Gcm>::NEW,
    quic: None,
};

static AES_256: Tls13CipherSuite = Tls13CipherSuite {
    common: CipherSuiteCommon {
        suite: CipherSuite::TLS13_AES_256_GCM_SHA384,
        hash_provider: &hash::Algorithm::<Sha384>::NEW,
        confidentiality_limit: GCM_MESSAGES,
    },
    hkdf_provider: &HkdfUsingHmac(&hash::Algorithm::<Sha384>::NEW),
    aead_alg: &aead::Algorithm::<aes_gcm::Aes256Gcm>::NEW,
    quic: None,
};

static CHACHA20: Tls13CipherSuite = Tls13CipherSuite {
    common: CipherSuiteCommon {
        suite: CipherSuite::TLS13_CHACHA20_POLY1305_SHA256,
        hash_provider: &hash::Algorithm::<Sha256>::NEW,
        confidentiality_limit: u64::MAX,
    },
    hkdf_provider: &HkdfUsingHmac(&hash::Algorithm::<Sha256>::NEW),
    aead_alg: &aead::Algorithm::<chacha20poly1305::ChaCha20Poly1305>::NEW,
    quic: None,
};

/// A client that never has a certificate of its own signs nothing.
#[derive(Debug)]
struct NoKeys;

impl KeyProvider for NoKeys {
    fn load_private_key(&self, _: PrivateKeyDer<'static>) -> Result<Arc<dyn SigningKey>, Error> {
        Err(Error::General("no client certificates".into()))
    }
}
