//! The certificates that servers of the tests have: good ones, and all kinds of bad ones.

use alloc::{string::String, vec::Vec};
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose,
    GeneralSubtree, IsCa, KeyPair, KeyUsagePurpose, NameConstraints, SignatureAlgorithm, date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

/// Who the servers are.
pub(super) const NAME: &str = "server.test";
/// When they are tested, in seconds since 1970: on 2026-01-01.
pub(super) const TODAY: u64 = 1_767_225_600;

/// An authority.
pub(super) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// What a server shows, and the key that it signs with.
pub(super) struct Identity {
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) key: PrivateKeyDer<'static>,
}

impl Authority {
    /// One whose certificate says so itself.
    pub(super) fn root(name: &str, algorithm: &'static SignatureAlgorithm) -> Self {
        Self::root_with(name, KeyPair::generate_for(algorithm).unwrap())
    }

    pub(super) fn root_with(name: &str, key: KeyPair) -> Self {
        Self(CertifiedIssuer::self_signed(authority(name), key).unwrap())
    }

    /// One under another, for `change` to spoil.
    pub(super) fn below(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let mut params = authority(name);
        change(&mut params);
        Self(CertifiedIssuer::signed_by(params, KeyPair::generate().unwrap(), &self.0).unwrap())
    }

    pub(super) fn der(&self) -> &CertificateDer<'static> {
        self.0.der()
    }

    pub(super) fn pem(&self) -> String {
        self.0.pem()
    }

    /// The identity of a server, for `change` to spoil.
    pub(super) fn server(&self, change: impl FnOnce(&mut CertificateParams)) -> Identity {
        self.server_with(KeyPair::generate().unwrap(), change)
    }

    pub(super) fn server_with(&self, key: KeyPair, change: impl FnOnce(&mut CertificateParams)) -> Identity {
        let mut params = server();
        change(&mut params);
        Identity::new(&params.signed_by(&key, &self.0).unwrap(), &key)
    }
}

impl Identity {
    pub(super) fn new(certificate: &Certificate, key: &KeyPair) -> Self {
        Self {
            chain: Vec::from([certificate.der().clone()]),
            key: PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
        }
    }

    /// Shows this too.
    pub(super) fn with(mut self, certificate: &CertificateDer<'static>) -> Self {
        self.chain.push(certificate.clone());
        self
    }

    /// One that nobody has issued.
    pub(super) fn self_signed() -> Self {
        let key = KeyPair::generate().unwrap();
        Self::new(&server().self_signed(&key).unwrap(), &key)
    }
}

fn valid() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.not_before = date_time_ymd(2025, 12, 1);
    params.not_after = date_time_ymd(2026, 2, 1);
    params
}

fn authority(name: &str) -> CertificateParams {
    let mut params = valid();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = Vec::from([KeyUsagePurpose::KeyCertSign]);
    params
}

fn server() -> CertificateParams {
    let mut params = valid();
    params.subject_alt_names = Vec::from([
        rcgen::SanType::DnsName(NAME.try_into().unwrap()),
        rcgen::SanType::IpAddress([10, 0, 2, 2].into()),
    ]);
    params.extended_key_usages = Vec::from([ExtendedKeyUsagePurpose::ServerAuth]);
    params
}

/// Only names under `name` may have certificates from here.
pub(super) fn only(name: &str) -> Option<NameConstraints> {
    Some(NameConstraints {
        permitted_subtrees: Vec::from([GeneralSubtree::DnsName(name.into())]),
        excluded_subtrees: Vec::new(),
    })
}
