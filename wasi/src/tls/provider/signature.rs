//! The signatures of certificates and handshakes: ECDSA on P-256 and P-384, RSA (PKCS #1 v1.5 in certificates only, as TLS 1.3
//! has it, and PSS). No certificate authority that browsers know issues others.

use core::ops::RangeInclusive;
use p256::ecdsa::signature::hazmat::PrehashVerifier;
use rsa::{
    Pkcs1v15Sign, Pss, RsaPublicKey,
    pkcs1::DecodeRsaPublicKey,
    pkcs8::AssociatedOid,
    traits::{PublicKeyParts, SignatureScheme as Padding},
};
use rustls::{
    SignatureScheme,
    crypto::WebPkiSupportedAlgorithms,
    pki_types::{AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm, alg_id},
};
use sha2::{Digest, Sha256, Sha384, Sha512, digest::FixedOutputReset};

/// What certificates and handshakes may be signed with, the preferred ones first.
pub(super) const ALGORITHMS: WebPkiSupportedAlgorithms = WebPkiSupportedAlgorithms {
    all: &[
        &P256_SHA256,
        &P256_SHA384,
        &P384_SHA256,
        &P384_SHA384,
        &PKCS1_SHA256,
        &PKCS1_SHA384,
        &PKCS1_SHA512,
        &PSS_SHA256,
        &PSS_SHA384,
        &PSS_SHA512,
    ],
    mapping: &[
        // In TLS 1.3 the hash of an ECDSA signature goes with the curve.
        (SignatureScheme::ECDSA_NISTP256_SHA256, &[&P256_SHA256]),
        (SignatureScheme::ECDSA_NISTP384_SHA384, &[&P384_SHA384]),
        (SignatureScheme::RSA_PSS_SHA256, &[&PSS_SHA256]),
        (SignatureScheme::RSA_PSS_SHA384, &[&PSS_SHA384]),
        (SignatureScheme::RSA_PSS_SHA512, &[&PSS_SHA512]),
        (SignatureScheme::RSA_PKCS1_SHA256, &[&PKCS1_SHA256]),
        (SignatureScheme::RSA_PKCS1_SHA384, &[&PKCS1_SHA384]),
        (SignatureScheme::RSA_PKCS1_SHA512, &[&PKCS1_SHA512]),
    ],
};

/// The moduli that are accepted, in bits: what authorities issue today. Longer ones would only cost time.
const RSA_BITS: RangeInclusive<u32> = 2048..=4096;

/// Verifies the signature (last) of a message with a key (first).
type Verify = fn(&[u8], &[u8], &[u8]) -> Option<()>;

/// A signature algorithm: how it is named in certificates, and how it is verified.
#[derive(Debug)]
struct Algorithm {
    key: AlgorithmIdentifier,
    signature: AlgorithmIdentifier,
    verify: Verify,
}

impl SignatureVerificationAlgorithm for Algorithm {
    fn verify_signature(&self, key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), InvalidSignature> {
        (self.verify)(key, message, signature).ok_or(InvalidSignature)
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        self.key
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.signature
    }
}

static P256_SHA256: Algorithm =
    Algorithm { key: alg_id::ECDSA_P256, signature: alg_id::ECDSA_SHA256, verify: p256::<Sha256> };
static P256_SHA384: Algorithm =
    Algorithm { key: alg_id::ECDSA_P256, signature: alg_id::ECDSA_SHA384, verify: p256::<Sha384> };
static P384_SHA256: Algorithm =
    Algorithm { key: alg_id::ECDSA_P384, signature: alg_id::ECDSA_SHA256, verify: p384::<Sha256> };
static P384_SHA384: Algorithm =
    Algorithm { key: alg_id::ECDSA_P384, signature: alg_id::ECDSA_SHA384, verify: p384::<Sha384> };
static PKCS1_SHA256: Algorithm =
    Algorithm { key: alg_id::RSA_ENCRYPTION, signature: alg_id::RSA_PKCS1_SHA256, verify: pkcs1::<Sha256> };
static PKCS1_SHA384: Algorithm =
    Algorithm { key: alg_id::RSA_ENCRYPTION, signature: alg_id::RSA_PKCS1_SHA384, verify: pkcs1::<Sha384> };
static PKCS1_SHA512: Algorithm =
    Algorithm { key: alg_id::RSA_ENCRYPTION, signature: alg_id::RSA_PKCS1_SHA512, verify: pkcs1::<Sha512> };
static PSS_SHA256: Algorithm =
    Algorithm { key: alg_id::RSA_ENCRYPTION, signature: alg_id::RSA_PSS_SHA256, verify: pss::<Sha256> };
static PSS_SHA384: Algorithm =
    Algorithm { key: alg_id::RSA_ENCRYPTION, signature: alg_id::RSA_PSS_SHA384, verify: pss::<Sha384> };
static PSS_SHA512: Algorithm =
    Algorithm { key: alg_id::RSA_ENCRYPTION, signature: alg_id::RSA_PSS_SHA512, verify: pss::<Sha512> };

fn p256<D: Digest>(key: &[u8], message: &[u8], signature: &[u8]) -> Option<()> {
    let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(key).ok()?;
    let signature = p256::ecdsa::Signature::from_der(signature).ok()?;
    key.verify_prehash(&D::digest(message), &signature).ok()
}

fn p384<D: Digest>(key: &[u8], message: &[u8], signature: &[u8]) -> Option<()> {
    let key = p384::ecdsa::VerifyingKey::from_sec1_bytes(key).ok()?;
    let signature = p384::ecdsa::Signature::from_der(signature).ok()?;
    key.verify_prehash(&D::digest(message), &signature).ok()
}

fn pkcs1<D: Digest + AssociatedOid>(key: &[u8], message: &[u8], signature: &[u8]) -> Option<()> {
    rsa(key, Pkcs1v15Sign::new::<D>(), &D::digest(message), signature)
}

fn pss<D: Digest + FixedOutputReset + 'static>(key: &[u8], message: &[u8], signature: &[u8]) -> Option<()> {
    rsa(key, Pss::<D>::new(), &D::digest(message), signature)
}

fn rsa(key: &[u8], scheme: impl Padding, hash: &[u8], signature: &[u8]) -> Option<()> {
    let key = RsaPublicKey::from_pkcs1_der(key).ok()?;
    if !RSA_BITS.contains(&key.n().bits_vartime()) {
        return None;
    }
    key.verify(scheme, hash, signature).ok()
}
