//! SHA-256 and SHA-384, and HMAC with them (of which rustls makes HKDF).

use alloc::boxed::Box;
use core::marker::PhantomData;
use hmac::{KeyInit, Mac, SimpleHmac};
use rustls::crypto::{hash, hmac as tls};
use sha2::{Digest, Sha256, Sha384, digest::block_api::BlockSizeUser};

/// A hash function of TLS 1.3.
pub(super) trait Function: Digest + BlockSizeUser + Clone + Send + Sync + 'static {
    /// Its name in TLS.
    const NAME: hash::HashAlgorithm;
}

impl Function for Sha256 {
    const NAME: hash::HashAlgorithm = hash::HashAlgorithm::SHA256;
}

impl Function for Sha384 {
    const NAME: hash::HashAlgorithm = hash::HashAlgorithm::SHA384;
}

/// A hash function, as rustls wants it.
pub(super) struct Algorithm<F>(PhantomData<F>);

struct Running<F>(F);

struct Key<F: Function>(SimpleHmac<F>);

impl<F> Algorithm<F> {
    pub(super) const NEW: Self = Self(PhantomData);
}

impl<F: Function> hash::Hash for Algorithm<F> {
    fn start(&self) -> Box<dyn hash::Context> {
        Box::new(Running(F::new()))
    }

    fn hash(&self, data: &[u8]) -> hash::Output {
        hash::Output::new(&F::digest(data))
    }

    fn output_len(&self) -> usize {
        <F as Digest>::output_size()
    }

    fn algorithm(&self) -> hash::HashAlgorithm {
        F::NAME
    }
}

impl<F: Function> hash::Context for Running<F> {
    fn fork_finish(&self) -> hash::Output {
        hash::Output::new(&self.0.clone().finalize())
    }

    fn fork(&self) -> Box<dyn hash::Context> {
        Box::new(Self(self.0.clone()))
    }

    fn finish(self: Box<Self>) -> hash::Output {
        hash::Output::new(&self.0.finalize())
    }

    fn update(&mut self, data: &[u8]) {
        self.0.update(data);
    }
}

impl<F: Function> tls::Hmac for Algorithm<F> {
    fn with_key(&self, key: &[u8]) -> Box<dyn tls::Key> {
        Box::new(Key(SimpleHmac::<F>::new_from_slice(key).expect("HMAC takes a key of any length")))
    }

    fn hash_output_len(&self) -> usize {
        <F as Digest>::output_size()
    }
}

impl<F: Function> tls::Key for Key<F> {
    fn sign_concat(&self, first: &[u8], middle: &[&[u8]], last: &[u8]) -> tls::Tag {
        let mut mac = self.0.clone();
        mac.update(first);
        for part in middle {
            mac.update(part);
        }
        mac.update(last);
        tls::Tag::new(&mac.finalize().into_bytes())
    }

    fn tag_len(&self) -> usize {
        <F as Digest>::output_size()
    }
}
