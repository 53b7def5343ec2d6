//! Login names: which workspace an SSH client asks for, and by what right.

use gitpod_routing::{OwnerToken, WorkspaceId};

use crate::code::ErrorCode;

/// What a user name asks for.
///
/// ```text
/// login = [ "debug-" ] workspace-id [ "#" owner-token ]
/// ```
///
/// The token is allowed only where no other credential is given; see [`NameForm`].
/// A name that is a workspace id as a whole is that id, also if its first word is
/// `debug`. A value of this type has been checked.
///
/// **Source:** login names of the reference system.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LoginName {
    /// The workspace.
    pub id: WorkspaceId,
    /// Which of its two systems.
    pub target: SessionTarget,
    /// The token as presented, not proved. It may be empty.
    pub token: Option<OwnerToken>,
}

/// Which system of a workspace a session is for.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum SessionTarget {
    /// The workspace.
    Workspace,
    /// A trial start of its new configuration, inside it.
    Debug,
}

/// Whether a user name may carry a token.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum NameForm {
    /// It may: authentication method `none`, where the name is all there is.
    MayCarryToken,
    /// The whole name is an id: methods `password` and `publickey`.
    IdOnly,
}

impl LoginName {
    /// Longest user name that is looked at, in bytes.
    pub const MAX_BYTES: usize = 1024;

    /// Reads `user_name`.
    ///
    /// # Errors
    ///
    /// [`LoginNameError`] if it is too long, does not name a workspace, or has
    /// control characters behind that name.
    pub fn parse(user_name: &str, form: NameForm) -> Result<Self, LoginNameError> {
        if user_name.len() > Self::MAX_BYTES {
            return Err(LoginNameError::TooLong);
        }
        let parts = LoginParts::split(user_name, form);
        let not_an_id = |_| match contains_id(parts.workspace) {
            true => LoginNameError::MoreThanAnId,
            false => LoginNameError::NotAnId,
        };
        let id = parts.workspace.parse().map_err(not_an_id)?;
        if user_name.contains(char::is_control) {
            return Err(LoginNameError::ControlCharacter);
        }
        Ok(Self {
            id,
            target: parts.target,
            token: parts.token.map(OwnerToken::new),
        })
    }

    /// The user name that asks for this, with its token: for the owner, never for logs.
    #[must_use]
    pub fn expose(&self) -> String {
        let prefix = match self.target {
            SessionTarget::Workspace => "",
            SessionTarget::Debug => DEBUG,
        };
        match &self.token {
            None => format!("{prefix}{}", self.id),
            Some(token) => format!("{prefix}{}#{}", self.id, token.expose()),
        }
    }
}

/// A user name taken apart, before anything is checked.
#[derive(Clone, Copy, Eq, PartialEq)]
#[non_exhaustive]
pub struct LoginParts<'a> {
    /// What should be a workspace id.
    pub workspace: &'a str,
    /// Which system of it.
    pub target: SessionTarget,
    /// What follows the only `#`. With several there is no token, and what
    /// precedes the first is the workspace.
    pub token: Option<&'a str>,
}

impl<'a> LoginParts<'a> {
    /// Takes `user_name` apart. Every text can be.
    #[must_use]
    pub fn split(user_name: &'a str, form: NameForm) -> Self {
        let (name, token) = match (form, user_name.split_once('#')) {
            (NameForm::MayCarryToken, Some((name, token))) => {
                (name, (!token.contains('#')).then_some(token))
            }
            (NameForm::MayCarryToken, None) | (NameForm::IdOnly, _) => (user_name, None),
        };
        // An id may begin with the word `debug`; what is left of it is never an id.
        match name.strip_prefix(DEBUG) {
            Some(workspace) if !WorkspaceId::matches(name) => Self {
                workspace,
                target: SessionTarget::Debug,
                token,
            },
            _ => Self {
                workspace: name,
                target: SessionTarget::Workspace,
                token,
            },
        }
    }
}

impl std::fmt::Debug for LoginParts<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LoginParts")
            .field("workspace", &self.workspace)
            .field("target", &self.target)
            .field("token", &self.token.map(|_| "***"))
            .finish()
    }
}

/// Whether a workspace id stands anywhere in `text`. It decides only which code is
/// counted, never which workspace is meant.
///
/// A search for the form of three words is enough: the last three parts of a UUID
/// have it.
fn contains_id(text: &str) -> bool {
    let is_letter = |letter: char| matches!(letter, '0'..='9' | 'a'..='z' | '-');
    text.split(|letter| !is_letter(letter)).any(|piece| {
        let lengths: Vec<usize> = piece.split('-').map(str::len).collect();
        let mut words = lengths.windows(3);
        words.any(|words| matches!(words, [first, 2..=16, last] if *first >= 2 && *last >= 8))
    })
}

const DEBUG: &str = "debug-";

/// The user name asks for no workspace.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum LoginNameError {
    /// It is longer than [`LoginName::MAX_BYTES`].
    #[error("user name is longer than 1024 bytes")]
    TooLong,
    /// Behind the id there is a control character, such as the end of a line, as no token has.
    #[error("user name has a control character")]
    ControlCharacter,
    /// It is not a workspace id.
    #[error("user name is not a workspace id")]
    NotAnId,
    /// It has a workspace id in it, but something before or after it too.
    #[error("user name is more than a workspace id")]
    MoreThanAnId,
}

impl LoginNameError {
    /// What a gateway counts it as.
    #[must_use]
    pub const fn code(self) -> ErrorCode {
        match self {
            Self::MoreThanAnId => ErrorCode::NotFound,
            Self::ControlCharacter => ErrorCode::AuthFailed,
            Self::TooLong | Self::NotAnId => ErrorCode::InvalidId,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "teal-otter-7f3k9q2m";

    #[test]
    fn attack_38_a_name_is_a_workspace_or_says_why_not() {
        let cases = [
            (ID, Ok(ID)),
            ("debug-teal-otter-7f3k9q2m", Ok("debug-teal-otter-7f3k9q2m")),
            ("debug-cat-abcdefgh", Ok("debug-cat-abcdefgh")), // an id as a whole
            (
                "3f2a9c10-5b7d-4e1a-9c44-0a1b2c3d4e5f",
                Ok("3f2a9c10-5b7d-4e1a-9c44-0a1b2c3d4e5f"),
            ),
            ("teal-otter-7f3k9q2m#t", Ok("teal-otter-7f3k9q2m#t")),
            ("teal-otter-7f3k9q2m#", Ok("teal-otter-7f3k9q2m#")),
            ("teal-otter-7f3k9q2m#a#b", Ok(ID)),
            (
                "debug-debug-teal-otter-7f3k9q2m",
                Err(LoginNameError::MoreThanAnId),
            ),
            (
                "8080-teal-otter-7f3k9q2m",
                Err(LoginNameError::MoreThanAnId),
            ),
            ("teal-otter-7f3k9q2m ", Err(LoginNameError::MoreThanAnId)),
            ("../teal-otter-7f3k9q2m", Err(LoginNameError::MoreThanAnId)),
            ("Teal-otter-7f3k9q2m", Err(LoginNameError::MoreThanAnId)), // `eal-…`
            ("root", Err(LoginNameError::NotAnId)),
            ("", Err(LoginNameError::NotAnId)),
            ("#", Err(LoginNameError::NotAnId)),
            ("debug-", Err(LoginNameError::NotAnId)),
            ("-oProxyCommand=x", Err(LoginNameError::NotAnId)),
            ("teal-otter-7f3k9q2m\n", Err(LoginNameError::MoreThanAnId)),
            ("\0", Err(LoginNameError::NotAnId)),
            (
                "teal-otter-7f3k9q2m#a\0",
                Err(LoginNameError::ControlCharacter),
            ),
            (
                "teal-otter-7f3k9q2m#a#\n",
                Err(LoginNameError::ControlCharacter),
            ),
        ];
        for (text, expected) in cases {
            let got = LoginName::parse(text, NameForm::MayCarryToken);
            let got = got.map(|name| name.expose());
            assert_eq!(got, expected.map(str::to_owned), "{text:?}");
        }
    }

    #[test]
    fn beside_another_credential_the_token_is_part_of_the_id() {
        let got = LoginName::parse("teal-otter-7f3k9q2m#t", NameForm::IdOnly).map(|_| ());
        assert_eq!(got, Err(LoginNameError::MoreThanAnId));
    }

    #[test]
    fn attack_38_a_name_of_64_kib_is_refused() {
        let got = LoginName::parse(&"a".repeat(65_536), NameForm::IdOnly).map(|_| ());
        assert_eq!(got, Err(LoginNameError::TooLong));
    }

    #[test]
    fn debug_shows_no_token() {
        let name = LoginName::parse("teal-otter-7f3k9q2m#s3cret", NameForm::MayCarryToken);
        let parts = LoginParts::split("x#s3cret", NameForm::MayCarryToken);
        let shown = format!("{name:?} {parts:?}");
        assert!(!shown.contains("s3cret"), "{shown}");
    }
}
