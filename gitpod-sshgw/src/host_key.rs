//! Which host key clients are told of.

/// The index of the key that clients get to know where only one can be named:
/// the first that is not RSA, or else the first.
///
/// `types` are names as in `ssh-ed25519`, in the order of configuration.
#[must_use]
pub fn preferred_host_key<T: AsRef<str>>(types: &[T]) -> Option<usize> {
    let modern = types.iter().position(|name| name.as_ref() != "ssh-rsa");
    modern.or_else(|| (!types.is_empty()).then_some(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rsa_is_named_only_where_there_is_nothing_else() {
        let cases: [(&[&str], _); 5] = [
            (&[], None),
            (&["ssh-rsa"], Some(0)),
            (&["ssh-rsa", "ssh-ed25519"], Some(1)),
            (&["ecdsa-sha2-nistp256", "ssh-ed25519"], Some(0)),
            (&["ssh-rsa", "ssh-rsa"], Some(0)),
        ];
        for (types, expected) in cases {
            assert_eq!(preferred_host_key(types), expected, "{types:?}");
        }
    }
}
