//! By what right a client asks to be let in.

use std::fmt;

#[cfg(feature = "server")]
use gitpod_routing::OwnerToken;

#[cfg(feature = "server")]
use crate::login::LoginName;
use crate::login::NameForm;

/// What a client presents with one authentication request.
///
/// Prints without its secrets.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub enum Credential<'a> {
    /// Method `none`: nothing but the user name, which may carry a token.
    None,
    /// Method `password`.
    Password(&'a [u8]),
    /// Method `publickey` as a question: would this key do? Nothing is proved.
    OfferedKey(&'a [u8]),
    /// Method `publickey` with a signature.
    SignedKey(SignedKey<'a>),
}

impl Credential<'_> {
    /// How the user name beside it is to be read.
    #[must_use]
    pub const fn name_form(&self) -> NameForm {
        match self {
            Self::None => NameForm::MayCarryToken,
            Self::Password(_) | Self::OfferedKey(_) | Self::SignedKey(_) => NameForm::IdOnly,
        }
    }
}

impl fmt::Debug for Credential<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Password(_) => "Password(***)",
            Self::OfferedKey(_) => "OfferedKey(..)",
            Self::SignedKey(_) => "SignedKey(..)",
        })
    }
}

/// A public key whose owner has signed this very session: who offers a key and
/// who holds it need not be the same.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SignedKey<'a>(&'a [u8]);

impl<'a> SignedKey<'a> {
    /// The key in its SSH encoding. Call this only after its signature over the
    /// session has been verified, with this key.
    #[must_use]
    pub const fn verified(blob: &'a [u8]) -> Self {
        Self(blob)
    }

    /// The key in its SSH encoding.
    #[must_use]
    pub const fn as_bytes(self) -> &'a [u8] {
        self.0
    }
}

/// What somebody was let in by, kept for asking again while she is in.
#[cfg(feature = "server")]
#[derive(Clone, Debug)]
pub(crate) enum Right {
    /// The token in the name.
    Name(LoginName),
    /// A password.
    Password(LoginName, OwnerToken),
    /// A key, by its SSH encoding.
    Key(LoginName, Box<[u8]>),
}

#[cfg(feature = "server")]
impl Right {
    /// The same right when the token `before` was replaced by `now`.
    pub(crate) fn after(&self, before: &OwnerToken, now: &OwnerToken) -> Self {
        let shows = |text: &str| before.matches(text.as_bytes());
        match self {
            Self::Name(login) if login.token.as_ref().is_some_and(|it| shows(it.expose())) => {
                let mut login = login.clone();
                login.token = Some(now.clone());
                Self::Name(login)
            }
            Self::Password(login, password) if shows(password.expose()) => {
                Self::Password(login.clone(), now.clone())
            }
            other => other.clone(),
        }
    }

    /// The request that was made with it.
    pub(crate) fn as_request(&self) -> (&LoginName, Credential<'_>) {
        match self {
            Self::Name(login) => (login, Credential::None),
            Self::Password(login, password) => {
                (login, Credential::Password(password.expose().as_bytes()))
            }
            Self::Key(login, blob) => (login, Credential::SignedKey(SignedKey::verified(blob))),
        }
    }
}

#[cfg(all(test, feature = "server"))]
mod tests {
    use super::*;

    #[test]
    fn right_of_who_had_the_token_of_the_run_before_is_one_of_the_next_run() {
        let (before, now) = (OwnerToken::new("before"), OwnerToken::new("now"));
        let name = |text: &str, form| LoginName::parse(text, form).unwrap();
        let id = "pink-panda-ns35kd21";
        let rights = [
            Right::Name(name(&format!("{id}#before"), NameForm::MayCarryToken)),
            Right::Password(name(id, NameForm::IdOnly), before.clone()),
        ];
        for right in rights {
            match right.after(&before, &now) {
                Right::Name(login) => assert!(login.token.unwrap().matches(b"now")),
                Right::Password(_, password) => assert!(password.matches(b"now")),
                Right::Key(..) => unreachable!(),
            }
        }
        // Whatever else opened it has to open it again.
        let other = Right::Password(name(id, NameForm::IdOnly), OwnerToken::new("another"));
        let Right::Password(_, password) = other.after(&before, &now) else {
            unreachable!()
        };
        assert!(password.matches(b"another"));
    }
}
