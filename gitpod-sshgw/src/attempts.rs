//! How many attempts a client has, and what it is told after each.

use std::fmt;

use crate::authenticate::{Accepted, Refusal};
use crate::code::ErrorCode;
use crate::credential::Credential;

/// The authentication requests of one connection.
///
/// A pure state machine: it is given the result of each request, and says what to
/// answer. After an answer that [ends](Reply::ends) the exchange there is none.
///
/// **Source:** RFC 4252; limit and the free `none` as in the reference system.
#[derive(Clone, Debug)]
pub struct AuthAttempts {
    most: usize,
    failures: usize,
    asked_for_methods: bool,
    last_code: Option<ErrorCode>,
}

impl AuthAttempts {
    /// How many failures end a connection. The first request of method `none` is free.
    pub const MAX_FAILURES: usize = 6;

    /// No request has been made.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            most: Self::MAX_FAILURES,
            failures: 0,
            asked_for_methods: false,
            last_code: None,
        }
    }

    /// Another number of failures ends the connection. With 0, as with 1, the first does.
    #[must_use]
    pub const fn with_max_failures(mut self, most: usize) -> Self {
        self.most = most;
        self
    }

    /// Answers a request with `credential`, of which `result` came.
    pub fn answer(
        &mut self,
        credential: &Credential<'_>,
        result: &Result<Accepted, Refusal>,
    ) -> Reply {
        match result {
            Ok(Accepted::LoggedIn(_)) => Reply::Success,
            Ok(Accepted::KeyWouldDo) => {
                // Whoever leaves now has tried something, and nothing came of it.
                self.last_code.get_or_insert(ErrorCode::Other);
                Reply::KeyOk
            }
            Err(Refusal::Denied(code)) => {
                self.last_code = Some(*code);
                Reply::Rejected
            }
            Err(Refusal::Continue(code)) => {
                self.last_code = Some(*code);
                self.fail(self.is_free(credential))
            }
        }
    }

    /// Answers a request of a method that is not offered.
    pub fn answer_unknown_method(&mut self) -> Reply {
        self.last_code = Some(ErrorCode::Other);
        self.fail(Price::Counted)
    }

    /// What to count if the client leaves now without having been let in.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self.last_code {
            Some(code) if !self.are_used_up() => code,
            _ => ErrorCode::Other,
        }
    }

    /// Whether anything was tried, asking for the methods included.
    #[must_use]
    pub const fn have_begun(&self) -> bool {
        self.last_code.is_some()
    }

    /// Whether the client has failed as often as it may.
    #[must_use]
    pub const fn are_used_up(&self) -> bool {
        self.failures > 0 && self.failures >= self.most
    }

    fn is_free(&self, credential: &Credential<'_>) -> Price {
        match credential {
            Credential::None if !self.asked_for_methods && self.failures == 0 => Price::Free,
            _ => Price::Counted,
        }
    }

    fn fail(&mut self, price: Price) -> Reply {
        match price {
            Price::Free => self.asked_for_methods = true,
            Price::Counted => self.failures = self.failures.saturating_add(1),
        }
        match self.are_used_up() {
            false => Reply::Failure,
            true => Reply::Disconnect,
        }
    }
}

impl Default for AuthAttempts {
    fn default() -> Self {
        Self::new()
    }
}

#[derive(Clone, Copy)]
enum Price {
    Free,
    Counted,
}

/// What a client is told.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Reply {
    /// `SSH_MSG_USERAUTH_SUCCESS`.
    Success,
    /// `SSH_MSG_USERAUTH_PK_OK`.
    KeyOk,
    /// `SSH_MSG_USERAUTH_FAILURE` with [`METHODS`](Self::METHODS).
    Failure,
    /// `SSH_MSG_USERAUTH_FAILURE` with no methods, after which the connection is closed.
    Rejected,
    /// `SSH_MSG_DISCONNECT` with reason 2, protocol error.
    Disconnect,
}

impl Reply {
    /// The methods that can continue, in this order.
    pub const METHODS: [&'static str; 2] = ["password", "publickey"];

    /// Whether the exchange is over.
    #[must_use]
    pub const fn ends(self) -> bool {
        match self {
            Self::Success | Self::Rejected | Self::Disconnect => true,
            Self::KeyOk | Self::Failure => false,
        }
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Success => f.write_str("success"),
            Self::KeyOk => f.write_str("pk-ok"),
            Self::Failure => write!(f, "failure:{}", Self::METHODS.join(",")),
            Self::Rejected => f.write_str("rejected"),
            Self::Disconnect => f.write_str("disconnect"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: Credential<'static> = Credential::None;
    const PASSWORD: Credential<'static> = Credential::Password(b"wrong");
    const WRONG: Result<Accepted, Refusal> = Err(Refusal::Continue(ErrorCode::AuthFailed));

    #[test]
    fn the_sixth_failure_disconnects_and_the_first_none_is_free() {
        let mut attempts = AuthAttempts::new();
        let asked = attempts.answer(&NONE, &Err(Refusal::Continue(ErrorCode::Other)));
        assert_eq!(asked, Reply::Failure);
        for _ in 0..5 {
            assert_eq!(attempts.answer(&PASSWORD, &WRONG), Reply::Failure);
            assert_eq!(attempts.code(), ErrorCode::AuthFailed);
        }
        assert_eq!(attempts.answer(&PASSWORD, &WRONG), Reply::Disconnect);
        assert_eq!(attempts.code(), ErrorCode::Other);
    }

    #[test]
    fn none_after_a_failure_is_not_free() {
        let mut attempts = AuthAttempts::new();
        for _ in 0..5 {
            assert_eq!(attempts.answer(&PASSWORD, &WRONG), Reply::Failure);
        }
        let asked = attempts.answer(&NONE, &Err(Refusal::Continue(ErrorCode::Other)));
        assert_eq!(asked, Reply::Disconnect);
    }

    #[test]
    fn a_client_that_tries_nothing_counts_as_other() {
        assert_eq!(AuthAttempts::new().code(), ErrorCode::Other);
    }

    #[test]
    fn an_accepted_offer_lets_nobody_in() {
        let mut attempts = AuthAttempts::new();
        let offered = Credential::OfferedKey(b"key");
        let reply = attempts.answer(&offered, &Ok(Accepted::KeyWouldDo));
        assert_eq!(reply, Reply::KeyOk);
        assert!(!reply.ends());
    }
}
