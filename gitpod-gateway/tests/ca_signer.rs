//! The signer in memory passes the conformance suite, and a wrong one does not.
#![cfg(feature = "testing")]
#![allow(clippy::unwrap_used)]

use async_trait::async_trait;
use gitpod_gateway::{
    CaSigner, MemorySigner, PublicKey, Signature, SignerError, SigningKey, Violation,
    check_ca_signer,
};

#[tokio::test]
async fn signer_in_memory_keeps_the_contract() {
    let signer = MemorySigner::new(SigningKey::from_seed(&[7; 32]));
    check_ca_signer(&signer).await.unwrap();
}

#[tokio::test]
async fn signer_that_hashes_first_breaks_a_rule() {
    #[derive(Debug)]
    struct Prehashing(MemorySigner);

    #[async_trait]
    impl CaSigner for Prehashing {
        fn public_key(&self) -> PublicKey {
            self.0.public_key()
        }

        async fn sign(&self, message: &[u8]) -> Result<Signature, SignerError> {
            self.0
                .sign(&message.iter().rev().copied().collect::<Vec<_>>())
                .await
        }
    }

    let signer = Prehashing(MemorySigner::new(SigningKey::from_seed(&[7; 32])));
    let why = check_ca_signer(&signer).await.unwrap_err();
    assert!(matches!(why, Violation::Rule(_)), "{why:?}");
}
