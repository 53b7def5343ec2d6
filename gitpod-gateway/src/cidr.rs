//! Networks: an address and how many of its leading bits name the network.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

/// An IPv4 address with the size of its network, as in `10.128.0.7/16`.
///
/// The address keeps all its bits: in a host's certificate it is the host's own
/// address, in an authority's it bounds those it may give away.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Cidr {
    address: Ipv4Addr,
    prefix: u8,
}

impl Cidr {
    /// `address` in a network of `prefix` bits.
    ///
    /// # Errors
    ///
    /// [`CidrError`] if `prefix` is above 32.
    pub const fn new(address: Ipv4Addr, prefix: u8) -> Result<Self, CidrError> {
        if prefix > 32 {
            return Err(CidrError::Prefix);
        }
        Ok(Self { address, prefix })
    }

    /// The address, with the bits of the host.
    #[must_use]
    pub const fn address(self) -> Ipv4Addr {
        self.address
    }

    /// How many leading bits name the network, 0 to 32.
    #[must_use]
    pub const fn prefix(self) -> u8 {
        self.prefix
    }

    /// The same network, with the bits of the host cleared.
    #[must_use]
    pub const fn network(self) -> Self {
        let address = Ipv4Addr::from_bits(self.address.to_bits() & self.mask());
        Self { address, ..self }
    }

    /// Whether all of `inner`'s network lies within this one.
    #[must_use]
    pub const fn contains(self, inner: Self) -> bool {
        let differing = self.address.to_bits() ^ inner.address.to_bits();
        self.prefix <= inner.prefix && differing & self.mask() == 0
    }

    /// The netmask, as a number.
    pub(crate) const fn mask(self) -> u32 {
        match u32::MAX.checked_shl(32 - self.prefix as u32) {
            Some(mask) => mask,
            None => 0,
        }
    }

    /// From an address and a netmask, as certificates hold them.
    pub(crate) fn from_mask(address: u32, mask: u32) -> Result<Self, CidrError> {
        if mask.leading_ones() + mask.trailing_zeros() != 32 {
            return Err(CidrError::Mask);
        }
        let prefix = u8::try_from(mask.leading_ones()).map_err(|_| CidrError::Prefix)?;
        Self::new(Ipv4Addr::from_bits(address), prefix)
    }
}

impl FromStr for Cidr {
    type Err = CidrError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (address, prefix) = text.split_once('/').ok_or(CidrError::NoPrefix)?;
        let address = address.parse().map_err(|_| CidrError::Address)?;
        let plain = matches!(
            prefix.as_bytes(),
            [b'0'] | [b'1'..=b'9'] | [b'1'..=b'3', b'0'..=b'9']
        );
        match prefix.parse() {
            Ok(prefix) if plain => Self::new(address, prefix),
            _ => Err(CidrError::Prefix),
        }
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

/// The text or number is no network.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CidrError {
    /// There is no `/`.
    #[error("network lacks its size, as in 10.128.0.7/16")]
    NoPrefix,
    /// What stands before the `/` is no IPv4 address.
    #[error("network does not begin with an ipv4 address")]
    Address,
    /// The size is no number from 0 to 32, or is written with a sign or leading zeros.
    #[error("network size is not a number from 0 to 32")]
    Prefix,
    /// A one follows a zero in the netmask.
    #[error("netmask is not contiguous")]
    Mask,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_a_network_or_says_what_is_wrong() {
        let cases = [
            ("10.128.0.7/16", Ok("10.128.0.7/16")),
            ("0.0.0.0/0", Ok("0.0.0.0/0")),
            ("10.0.0.1/32", Ok("10.0.0.1/32")),
            ("10.0.0.1", Err(CidrError::NoPrefix)),
            ("10.0.0/8", Err(CidrError::Address)),
            ("::1/8", Err(CidrError::Address)),
            ("010.0.0.1/8", Err(CidrError::Address)), // octal in some parsers
            ("10.0.0.1/33", Err(CidrError::Prefix)),
            ("10.0.0.1/+8", Err(CidrError::Prefix)),
            ("10.0.0.1/08", Err(CidrError::Prefix)),
            ("10.0.0.1/", Err(CidrError::Prefix)),
        ];
        for (text, expected) in cases {
            let got = text.parse::<Cidr>().map(|cidr| cidr.to_string());
            assert_eq!(got, expected.map(str::to_owned), "{text}");
        }
    }

    #[test]
    fn a_network_contains_itself_and_smaller_ones_at_its_place() {
        let cases = [
            ("10.0.0.0/8", "10.1.2.3/8", true),
            ("10.9.9.9/8", "10.1.2.3/32", true),
            ("10.0.0.0/8", "10.0.0.0/7", false), // larger
            ("10.0.0.0/8", "11.0.0.0/8", false),
            ("0.0.0.0/0", "255.1.1.1/32", true),
        ];
        for (outer, inner, expected) in cases {
            let (outer, inner): (Cidr, Cidr) = (outer.parse().unwrap(), inner.parse().unwrap());
            assert_eq!(outer.contains(inner), expected, "{outer} {inner}");
        }
    }

    #[test]
    fn a_mask_with_a_hole_is_refused() {
        assert_eq!(Cidr::from_mask(0, 0xFF00_FF00), Err(CidrError::Mask));
        for prefix in 0..=32 {
            let cidr = Cidr::new(Ipv4Addr::new(10, 1, 2, 3), prefix).unwrap();
            assert_eq!(
                Cidr::from_mask(cidr.address().to_bits(), cidr.mask()),
                Ok(cidr)
            );
        }
    }
}
