//! Who may come in.

use gitpod_routing::OwnerToken;
use russh::keys::Algorithm;
use russh::server::Auth;

use super::config::methods;
use super::session::Session;
use crate::attempts::{AuthAttempts, Reply};
use crate::authenticate::{Accepted, Authenticated, Refusal};
use crate::code::ErrorCode;
use crate::credential::{Credential, Right};
use crate::login::{LoginName, NameForm};
use crate::observer::LoginMethod;

/// The door, for one client.
#[derive(Debug)]
pub(crate) struct Entrance {
    attempts: AuthAttempts,
    /// Who may come in, between the decision and the end of the exchange.
    admitted: Option<Admitted>,
}

/// Somebody who may come in, by what right, and how she proved it.
pub(crate) type Admitted = (Authenticated, Right, LoginMethod);

impl Entrance {
    pub(crate) const fn new(max_failures: usize) -> Self {
        Self {
            attempts: AuthAttempts::new().with_max_failures(max_failures),
            admitted: None,
        }
    }

    /// Decides one request.
    pub(crate) async fn attempt(
        &mut self,
        session: &Session,
        user: &str,
        credential: Credential<'_>,
    ) -> Auth {
        // Whatever was accepted before counts for nothing: a client may change its mind.
        self.admitted = None;
        if self.attempts.are_used_up() {
            return refused(); // it has not heard yet that it must go
        }
        let authenticate = &session.shared.authenticate;
        let result = authenticate.attempt(user, credential).await;
        let reply = self.attempts.answer(&credential, &result);
        if let Ok(Accepted::LoggedIn(proof)) = result {
            let right = right_of(user, credential);
            self.admitted = right.map(|(right, method)| (proof, right, method));
        }
        match reply {
            Reply::Success if self.admitted.is_none() => self.refuse_method(session),
            reply => answer(session, reply),
        }
    }

    /// Decides a request with a key that is not worth anything.
    pub(crate) fn refuse_key(&mut self, session: &Session) -> Auth {
        let refused = Err(Refusal::Continue(ErrorCode::AuthFailed));
        answer(
            session,
            self.attempts.answer(&Credential::OfferedKey(&[]), &refused),
        )
    }

    /// Decides a request of a method that is not offered.
    pub(crate) fn refuse_method(&mut self, session: &Session) -> Auth {
        answer(session, self.attempts.answer_unknown_method())
    }

    /// Who was let in, once the library has said so.
    pub(crate) const fn take_admitted(&mut self) -> Option<Admitted> {
        self.admitted.take()
    }

    /// What to count when nobody was let in; nothing if nobody tried.
    pub(crate) fn code(&self) -> Option<ErrorCode> {
        self.attempts.have_begun().then(|| self.attempts.code())
    }
}

/// The library's word for `reply`. It has none for the last: that is said by who watches.
fn answer(session: &Session, reply: Reply) -> Auth {
    match reply {
        Reply::Success | Reply::KeyOk => Auth::Accept,
        Reply::Failure | Reply::Rejected => refused(),
        Reply::Disconnect => {
            session.attempts_are_used_up();
            refused()
        }
    }
}

fn refused() -> Auth {
    Auth::Reject {
        proceed_with_methods: Some(methods()),
        partial_success: false,
    }
}

/// What let in, for asking again.
fn right_of(user: &str, credential: Credential<'_>) -> Option<(Right, LoginMethod)> {
    let login = |form| LoginName::parse(user, form).ok();
    Some(match credential {
        Credential::None => {
            let login = login(NameForm::MayCarryToken)?;
            (Right::Name(login), LoginMethod::Name)
        }
        Credential::Password(password) => {
            let password = std::str::from_utf8(password).ok()?;
            let right = Right::Password(login(NameForm::IdOnly)?, OwnerToken::new(password));
            (right, LoginMethod::Password)
        }
        Credential::SignedKey(key) => {
            let right = Right::Key(login(NameForm::IdOnly)?, key.as_bytes().into());
            (right, LoginMethod::Key)
        }
        Credential::OfferedKey(_) => return None,
    })
}

/// Whether signatures of this kind can be forged.
pub(crate) fn is_too_weak(algorithm: &Algorithm) -> bool {
    matches!(algorithm, Algorithm::Rsa { hash: None } | Algorithm::Dsa)
}
