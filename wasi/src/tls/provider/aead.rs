//! The record protection of TLS 1.3 (RFC 8446, section 5.2) with any AEAD that has nonces of 12 bytes and tags of 16.

use aes_gcm::aead::{
    AeadCore, AeadInOut, KeyInit, Nonce as NonceOf,
    consts::{U12, U16},
};
use alloc::boxed::Box;
use core::marker::PhantomData;
use rustls::{
    ConnectionTrafficSecrets, ContentType, Error, ProtocolVersion,
    crypto::cipher::{
        AeadKey, InboundOpaqueMessage, InboundPlainMessage, Iv, MessageDecrypter, MessageEncrypter, Nonce,
        OutboundOpaqueMessage, OutboundPlainMessage, PrefixedPayload, Tls13AeadAlgorithm,
        UnsupportedOperationError, make_tls13_aad,
    },
};

/// What is added to a plaintext: its type and the tag.
const OVERHEAD: usize = 1 + TAG;
const TAG: usize = 16;

/// An AEAD, as rustls wants it.
pub(super) struct Algorithm<C>(PhantomData<C>);

struct Keyed<C> {
    cipher: C,
    iv: Iv,
}

impl<C> Algorithm<C> {
    pub(super) const NEW: Self = Self(PhantomData);
}

impl<C: KeyInit> Keyed<C> {
    fn new(key: &AeadKey, iv: Iv) -> Box<Self> {
        let cipher = C::new_from_slice(key.as_ref()).expect("rustls makes keys of `key_len`");
        Box::new(Self { cipher, iv })
    }
}

impl<C> Tls13AeadAlgorithm for Algorithm<C>
where
    C: KeyInit + AeadInOut + AeadCore<NonceSize = U12, TagSize = U16> + Send + Sync + 'static,
{
    fn encrypter(&self, key: AeadKey, iv: Iv) -> Box<dyn MessageEncrypter> {
        Keyed::<C>::new(&key, iv)
    }

    fn decrypter(&self, key: AeadKey, iv: Iv) -> Box<dyn MessageDecrypter> {
        Keyed::<C>::new(&key, iv)
    }

    fn key_len(&self) -> usize {
        C::key_size()
    }

    /// For kernels that take over the encryption: not here.
    fn extract_keys(&self, _: AeadKey, _: Iv) -> Result<ConnectionTrafficSecrets, UnsupportedOperationError> {
        Err(UnsupportedOperationError)
    }
}

impl<C: AeadInOut + AeadCore<NonceSize = U12, TagSize = U16>> Keyed<C>
where
    Self: Send + Sync,
{
    fn nonce(&self, sequence: u64) -> NonceOf<C> {
        Nonce::new(&self.iv, sequence).0.into()
    }
}

impl<C> MessageEncrypter for Keyed<C>
where
    C: AeadInOut + AeadCore<NonceSize = U12, TagSize = U16> + Send + Sync,
{
    fn encrypt(
        &mut self,
        message: OutboundPlainMessage<'_>,
        sequence: u64,
    ) -> Result<OutboundOpaqueMessage, Error> {
        let len = self.encrypted_payload_len(message.payload.len());
        let mut payload = PrefixedPayload::with_capacity(len);
        payload.extend_from_chunks(&message.payload);
        payload.extend_from_slice(&message.typ.to_array());
        let tag = self
            .cipher
            .encrypt_inout_detached(&self.nonce(sequence), &make_tls13_aad(len), payload.as_mut().into())
            .map_err(|_| Error::EncryptError)?;
        payload.extend_from_slice(&tag);
        // As RFC 8446 wants it to look from outside.
        Ok(OutboundOpaqueMessage::new(ContentType::ApplicationData, ProtocolVersion::TLSv1_2, payload))
    }

    fn encrypted_payload_len(&self, payload_len: usize) -> usize {
        payload_len.saturating_add(OVERHEAD)
    }
}

impl<C> MessageDecrypter for Keyed<C>
where
    C: AeadInOut + AeadCore<NonceSize = U12, TagSize = U16> + Send + Sync,
{
    fn decrypt<'a>(
        &mut self,
        mut message: InboundOpaqueMessage<'a>,
        sequence: u64,
    ) -> Result<InboundPlainMessage<'a>, Error> {
        let len = message.payload.len();
        let nonce = self.nonce(sequence);
        let (text, tag) = message.payload.split_last_chunk_mut::<TAG>().ok_or(Error::DecryptError)?;
        let text_len = text.len();
        self.cipher
            .decrypt_inout_detached(&nonce, &make_tls13_aad(len), text.into(), (&*tag).into())
            .map_err(|_| Error::DecryptError)?;
        message.payload.truncate(text_len);
        message.into_tls13_unpadded_message()
    }
}
