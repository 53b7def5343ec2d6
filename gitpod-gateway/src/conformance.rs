//! What every adapter must do.

#[cfg(feature = "network")]
mod store;

#[cfg(feature = "network")]
pub use self::store::check_network_store;
use crate::signer::{CaSigner, SignerError};

/// Checks that `signer` keeps the contract of [`CaSigner`]. It signs three messages, twice each.
///
/// # Errors
///
/// [`Violation`] says which rule it breaks.
pub async fn check_ca_signer(signer: &dyn CaSigner) -> Result<(), Violation> {
    let key = signer.public_key();
    for message in [&b""[..], b"details", &[0xFF; 4096]] {
        let signature = signer.sign(message).await?;
        if !key.has_signed(message, &signature) {
            return Err(Violation::Rule(
                "a signature is of exactly the given bytes, by its key",
            ));
        }
        let again = signer.sign(message).await?;
        if again != signature {
            return Err(Violation::Rule("the same bytes have the same signature"));
        }
    }
    match signer.public_key() == key {
        true => Ok(()),
        false => Err(Violation::Rule("the public key never changes")),
    }
}

/// What an implementation does wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Violation {
    /// It breaks a rule of the contract.
    #[error("rule broken: {0}")]
    Rule(&'static str),
    /// It did not sign.
    #[error("signer failed")]
    Failed(#[from] SignerError),
    /// It did not read or write.
    #[cfg(feature = "network")]
    #[error("store failed")]
    Store(#[from] crate::StoreError),
}
