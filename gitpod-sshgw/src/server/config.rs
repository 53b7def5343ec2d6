//! How SSH is spoken on either side.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

#[cfg(feature = "rsa")]
use russh::keys::HashAlg;
use russh::keys::{Algorithm, EcdsaCurve};
use russh::{MethodKind, MethodSet, Preferred, SshId, cipher, client, kex, mac, server};

use super::flow::WINDOW;
use crate::limits::SshLimits;
use crate::private_key::PrivateKey;

/// How the gateway speaks with clients.
pub(crate) fn of_clients(limits: &SshLimits, keys: &[PrivateKey]) -> Arc<server::Config> {
    Arc::new(server::Config {
        server_id: SshId::Standard(Cow::Borrowed("SSH-2.0-GITPOD-GATEWAY")),
        methods: methods(),
        auth_rejection_time: limits.refusal_time,
        // The first question is which methods there are; its answer tells nothing.
        auth_rejection_time_initial: Some(Duration::ZERO),
        keys: keys
            .iter()
            .map(|key| key.inner().as_ref().clone())
            .collect(),
        limits: rekeying(limits),
        window_size: WINDOW,
        maximum_packet_size: PACKET,
        channel_buffer_size: CHANNEL_MESSAGES,
        event_buffer_size: EVENTS,
        preferred: preferred(&[
            kex::MLKEM768X25519_SHA256,
            kex::CURVE25519,
            kex::CURVE25519_PRE_RFC_8731,
            kex::EXTENSION_SUPPORT_AS_SERVER,
            kex::EXTENSION_OPENSSH_STRICT_KEX_AS_SERVER,
        ]),
        // Ours counts more exactly, but is not told of everything. With the first question,
        // which is free.
        max_auth_attempts: limits.login_attempts.saturating_add(1),
        inactivity_timeout: None,
        keepalive_interval: Some(limits.keep_alive),
        keepalive_max: limits.keep_alives_missed,
        nodelay: true,
        ..server::Config::default()
    })
}

/// How it speaks with workspaces.
pub(crate) fn of_workspaces(limits: &SshLimits) -> Arc<client::Config> {
    Arc::new(client::Config {
        client_id: SshId::Standard(Cow::Borrowed("SSH-2.0-GITPOD-GATEWAY")),
        limits: rekeying(limits),
        window_size: WINDOW,
        maximum_packet_size: PACKET,
        channel_buffer_size: CHANNEL_MESSAGES,
        preferred: preferred(&[
            kex::CURVE25519,
            kex::CURVE25519_PRE_RFC_8731,
            kex::MLKEM768X25519_SHA256,
            kex::EXTENSION_SUPPORT_AS_CLIENT,
            kex::EXTENSION_OPENSSH_STRICT_KEX_AS_CLIENT,
        ]),
        inactivity_timeout: None,
        keepalive_interval: Some(limits.keep_alive),
        keepalive_max: limits.keep_alives_missed,
        nodelay: true,
        ..client::Config::default()
    })
}

/// The methods clients may use.
pub(crate) fn methods() -> MethodSet {
    MethodSet::from(&[MethodKind::PublicKey, MethodKind::Password][..])
}

/// No NIST curves for key exchange and no SHA-1 anywhere; what costs least comes first.
fn preferred(kex: &[kex::Name]) -> Preferred {
    Preferred {
        kex: Cow::Owned(kex.to_vec()),
        key: Cow::Borrowed(SIGNATURES),
        cipher: Cow::Borrowed(&[
            cipher::AES_128_GCM,
            cipher::AES_256_GCM,
            cipher::CHACHA20_POLY1305,
            cipher::AES_256_CTR,
            cipher::AES_128_CTR,
        ]),
        mac: Cow::Borrowed(&[mac::HMAC_SHA256_ETM, mac::HMAC_SHA512_ETM]),
        compression: Cow::Borrowed(&[russh::compression::NONE]),
        ..Preferred::default()
    }
}

fn rekeying(limits: &SshLimits) -> russh::Limits {
    let bytes = limits.rekey_bytes.clamp(1, 1 << 30);
    russh::Limits::new(bytes, bytes, limits.rekey_time)
}

/// Of host keys, and of users' keys.
const SIGNATURES: &[Algorithm] = &[
    Algorithm::Ed25519,
    Algorithm::SkEd25519,
    Algorithm::Ecdsa {
        curve: EcdsaCurve::NistP256,
    },
    Algorithm::SkEcdsaSha2NistP256,
    Algorithm::Ecdsa {
        curve: EcdsaCurve::NistP384,
    },
    Algorithm::Ecdsa {
        curve: EcdsaCurve::NistP521,
    },
    #[cfg(feature = "rsa")]
    Algorithm::Rsa {
        hash: Some(HashAlg::Sha512),
    },
    #[cfg(feature = "rsa")]
    Algorithm::Rsa {
        hash: Some(HashAlg::Sha256),
    },
];

/// Payload of the largest packet, as everybody has it.
const PACKET: u32 = 32 * 1024;
/// Packets of a channel that the library holds for us, who take them at once.
const CHANNEL_MESSAGES: usize = 16;
/// Packets of all channels that wait to be encrypted.
const EVENTS: usize = 16;
