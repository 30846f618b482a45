//! The key exchanges: X25519, which servers like best, and P-256, which all of them must have (RFC 8446, section 9.1).

use super::random::Random;
use alloc::{boxed::Box, vec::Vec};
use p256::elliptic_curve::{Generate, sec1::ToSec1Point};
use rustls::{
    Error, NamedGroup, PeerMisbehaved,
    crypto::{ActiveKeyExchange, SharedSecret, SupportedKxGroup},
};

/// The groups, the preferred one first.
pub(super) const GROUPS: [&dyn SupportedKxGroup; 2] = [&X25519, &P256];

#[derive(Debug)]
struct X25519;

#[derive(Debug)]
struct P256;

/// Our half of an exchange in X25519.
struct X25519Exchange {
    secret: x25519_dalek::EphemeralSecret,
    public: x25519_dalek::PublicKey,
}

/// Our half of an exchange in P-256.
struct P256Exchange {
    secret: p256::ecdh::EphemeralSecret,
    public: Vec<u8>,
}

const BAD_SHARE: Error = Error::PeerMisbehaved(PeerMisbehaved::InvalidKeyShare);

impl SupportedKxGroup for X25519 {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        let secret = x25519_dalek::EphemeralSecret::random_from_rng(&mut Random::generator()?);
        let public = (&secret).into();
        Ok(Box::new(X25519Exchange { secret, public }))
    }

    fn name(&self) -> NamedGroup {
        NamedGroup::X25519
    }
}

impl ActiveKeyExchange for X25519Exchange {
    fn complete(self: Box<Self>, peer: &[u8]) -> Result<SharedSecret, Error> {
        let peer: [u8; 32] = peer.try_into().map_err(|_| BAD_SHARE)?;
        let shared = self.secret.diffie_hellman(&peer.into());
        // A point of small order: the secret would not depend on ours (RFC 7748, section 6.1).
        if !shared.was_contributory() {
            return Err(BAD_SHARE);
        }
        Ok(shared.as_bytes().as_slice().into())
    }

    fn pub_key(&self) -> &[u8] {
        self.public.as_bytes()
    }

    fn group(&self) -> NamedGroup {
        X25519.name()
    }
}

impl SupportedKxGroup for P256 {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        let secret = p256::ecdh::EphemeralSecret::generate_from_rng(&mut Random::generator()?);
        let public = Vec::from(secret.public_key().to_sec1_point(false).as_bytes());
        Ok(Box::new(P256Exchange { secret, public }))
    }

    fn name(&self) -> NamedGroup {
        NamedGroup::secp256r1
    }
}

impl ActiveKeyExchange for P256Exchange {
    fn complete(self: Box<Self>, peer: &[u8]) -> Result<SharedSecret, Error> {
        let peer = p256::PublicKey::from_sec1_bytes(peer).map_err(|_| BAD_SHARE)?;
        Ok(self.secret.diffie_hellman(&peer).raw_secret_bytes().as_slice().into())
    }

    fn pub_key(&self) -> &[u8] {
        &self.public
    }

    fn group(&self) -> NamedGroup {
        P256.name()
    }
}
