//! What an authority may sign, and a verifier accepts.

use crate::certificate::Details;
use crate::cidr::Cidr;

/// Whether `authority` may sign `host`.
///
/// Signing and verifying ask the same question, so that what is signed is never
/// refused later.
pub(crate) fn check(host: &Details, authority: &Details) -> Result<(), ConstraintError> {
    if host.not_after > authority.not_after {
        return Err(ConstraintError::OutlivesAuthority);
    }
    if host.not_before < authority.not_before {
        return Err(ConstraintError::PredatesAuthority);
    }
    let foreign_group = |group: &&String| !authority.groups.contains(group);
    match host.groups.iter().find(foreign_group) {
        Some(group) if !authority.groups.is_empty() => {
            return Err(ConstraintError::Group(group.clone()));
        }
        _ => {}
    }
    if let Some(network) = outside(&host.networks, &authority.networks) {
        return Err(ConstraintError::Network(network));
    }
    match outside(&host.subnets, &authority.subnets) {
        Some(subnet) => Err(ConstraintError::Subnet(subnet)),
        None => Ok(()),
    }
}

/// The first of `networks` that lies in none of `allowed`. None at all means any.
fn outside(networks: &[Cidr], allowed: &[Cidr]) -> Option<Cidr> {
    let is_allowed = |network: Cidr| allowed.iter().any(|outer| outer.contains(network));
    let mut networks = networks.iter().copied();
    networks.find(|&network| !allowed.is_empty() && !is_allowed(network))
}

/// A certificate says more than its authority may say.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ConstraintError {
    /// It is valid when its authority no longer is.
    #[error("certificate expires after its authority")]
    OutlivesAuthority,
    /// It is valid when its authority is not yet.
    #[error("certificate is valid before its authority")]
    PredatesAuthority,
    /// It has a group the authority may not give.
    #[error("group {0:?} is not one of the authority's")]
    Group(String),
    /// It has an address outside the authority's networks.
    #[error("network {0} is outside the authority's")]
    Network(Cidr),
    /// It reaches a network outside the authority's.
    #[error("subnet {0} is outside the authority's")]
    Subnet(Cidr),
}
