//! Places that are limited in number.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard};

/// Counts who is there, by `K`.
#[derive(Debug)]
pub(crate) struct Places<K> {
    taken: Arc<Mutex<Taken<K>>>,
}

#[derive(Debug)]
struct Taken<K> {
    all: usize,
    of: HashMap<K, usize>,
}

impl<K> Clone for Places<K> {
    fn clone(&self) -> Self {
        Self {
            taken: Arc::clone(&self.taken),
        }
    }
}

impl<K: Eq + Hash + Clone> Places<K> {
    pub(crate) fn new() -> Self {
        Self {
            taken: Arc::new(Mutex::new(Taken {
                all: 0,
                of: HashMap::new(),
            })),
        }
    }

    /// A place for `key`, if fewer than `all` are taken, and fewer than `each` by it.
    pub(crate) fn take(&self, key: K, each: usize, all: usize) -> Result<Place<K>, Full> {
        let mut taken = self.lock();
        let own = taken.of.get(&key).copied().unwrap_or_default();
        match (own < each, taken.all < all) {
            (true, true) => {}
            (false, _) => return Err(Full::Each),
            (true, false) => return Err(Full::All),
        }
        taken.all += 1;
        taken.of.insert(key.clone(), own + 1);
        Ok(Place {
            key,
            places: self.clone(),
        })
    }

    fn give_back(&self, key: &K) {
        let mut taken = self.lock();
        taken.all = taken.all.saturating_sub(1);
        match taken.of.get_mut(key) {
            Some(own) if *own > 1 => *own -= 1,
            _ => drop(taken.of.remove(key)),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Taken<K>> {
        let taken = self.taken.lock();
        taken.unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// Why there is no place.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Full {
    /// This one has too many.
    Each,
    /// All together have.
    All,
}

/// A place, taken until this is dropped.
#[derive(Debug)]
pub(crate) struct Place<K: Eq + Hash + Clone> {
    key: K,
    places: Places<K>,
}

impl<K: Eq + Hash + Clone> Drop for Place<K> {
    fn drop(&mut self) {
        self.places.give_back(&self.key);
    }
}

/// Whom connections from `address` are counted for: a household has one IPv4 address,
/// or as many of IPv6 as it likes.
pub(crate) fn source_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.into(),
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_free_again_when_its_holder_left() {
        let places = Places::new();
        let first = places.take("a", 1, 2).unwrap();
        assert_eq!(places.take("a", 1, 2).err(), Some(Full::Each));
        let second = places.take("b", 1, 2).unwrap();
        assert_eq!(places.take("c", 1, 2).err(), Some(Full::All));
        drop((first, second));
        assert!(places.take("a", 1, 1).is_ok());
        assert!(places.lock().of.is_empty());
    }

    #[test]
    fn addresses_of_one_household_are_one_source() {
        let cases = [
            ("192.0.2.1", "192.0.2.1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ];
        for (address, source) in cases {
            let source: IpAddr = source.parse().unwrap();
            assert_eq!(source_of(address.parse().unwrap()), source);
        }
    }
}
