//! What clients may do: log in, open channels, ask for forwards.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use gitpod_routing::OwnerToken;
use russh::keys::{Algorithm, Certificate};
use russh::server::{
    Auth, ChannelOpenHandle, Handler, Msg, PublicKeyOffer, Response, VerifiedPublicKey,
};
use russh::{Channel, ChannelId, ChannelOpenFailure, Pty, server};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};

use super::budget::Budget;
use super::config::methods;
use super::count::Place;
use super::link::Link;
use super::metrics::{self, Connected};
use super::opening::{Asked, Opening};
use super::session::{Login, Session};
use super::watch::too_many;
use crate::authenticate::{Accepted, Authenticated, Refusal};
use crate::code::ErrorCode;
use crate::credential::{Credential, Right, SignedKey};
use crate::login::{LoginName, NameForm};
use crate::observer::{LoginMethod, SessionInfo};
use crate::policy::ChannelAsk;

/// Hears what one client says. Dropped when its connection ends.
#[derive(Debug)]
pub(crate) struct ClientSide {
    session: Arc<Session>,
    budget: Budget,
    /// A stranger's place, until she is none.
    place: Option<Place<IpAddr>>,
    /// Who may come in, between the decision and the end of the exchange.
    admitted: Option<(Authenticated, Right, LoginMethod)>,
    last_code: Option<ErrorCode>,
    programs: HashMap<ChannelId, Requests>,
}

/// The answers to the requests in a channel, in their order.
#[derive(Debug)]
struct Requests {
    replies: mpsc::UnboundedReceiver<bool>,
    started: bool,
}

impl ClientSide {
    pub(crate) fn new(session: Arc<Session>, budget: Budget, place: Place<IpAddr>) -> Self {
        Self {
            session,
            budget,
            place: Some(place),
            admitted: None,
            last_code: None,
            programs: HashMap::new(),
        }
    }

    async fn attempt(&mut self, user: &str, credential: Credential<'_>) -> Auth {
        // Whatever was accepted before counts for nothing: a client may change its mind.
        self.admitted = None;
        let authenticate = &self.session.shared.authenticate;
        match authenticate.attempt(user, credential).await {
            Ok(Accepted::KeyWouldDo) => Auth::Accept,
            Ok(Accepted::LoggedIn(proof)) => match right_of(user, credential) {
                Some((right, method)) => {
                    self.admitted = Some((proof, right, method));
                    Auth::Accept
                }
                None => self.refuse(ErrorCode::Other),
            },
            Err(Refusal::Continue(code) | Refusal::Denied(code)) => self.refuse(code),
        }
    }

    fn refuse(&mut self, code: ErrorCode) -> Auth {
        self.last_code = Some(code);
        Auth::Reject {
            proceed_with_methods: Some(methods()),
            partial_success: false,
        }
    }

    /// Makes the session that of who was admitted.
    fn admit(&mut self, client: server::Handle) -> Result<(), russh::Error> {
        let Some((proof, right, method)) = self.admitted.take() else {
            return Err(russh::Error::Inconsistent);
        };
        let shared = &self.session.shared;
        let info = proof.info();
        let limit = shared.limits.sessions_per_workspace;
        let place = shared.sessions.take(info.id.clone(), limit, usize::MAX);
        let session_info = SessionInfo {
            number: shared.numbers.fetch_add(1, Ordering::Relaxed),
            peer: self.session.peer,
            workspace: info.id.clone(),
            instance: info.instance.clone(),
            target: proof.target(),
            method,
        };
        shared.observer.opened(&session_info);
        self.session.admit(Login {
            proof,
            right,
            info: session_info,
            since: Instant::now(),
            client,
            place: place.ok(),
            _connected: Connected::new(),
        });
        self.place = None;
        self.budget.lift();
        Ok(())
    }

    async fn open(&mut self, channel: Channel<Msg>, opening: Opening, reply: ChannelOpenHandle) {
        let has_place = self
            .session
            .login()
            .is_some_and(|login| login.place.is_some());
        if !has_place || !self.session.allows(&opening.ask()) {
            let reason = ChannelOpenFailure::AdministrativelyProhibited;
            return reply.reject(reason).await;
        }
        let Some(place) = self.session.take_channel() else {
            return reply.reject(ChannelOpenFailure::ResourceShortage).await;
        };
        let mut asked = Asked {
            place,
            channel,
            reply,
            replies: None,
        };
        if matches!(opening, Opening::Session) {
            let (sender, replies) = mpsc::unbounded_channel();
            asked.replies = Some(sender);
            self.programs.retain(|_, known| !known.replies.is_closed());
            let started = false;
            let requests = Requests { replies, started };
            self.programs.insert(asked.channel.id(), requests);
        }
        self.session.spawn(asked.serve(opening));
    }

    /// What the workspace answers to a request that was just sent on.
    ///
    /// The library knows which request an answer is for only until the next one, so
    /// the next one must wait.
    async fn answer(&mut self, channel: ChannelId, request: Request) -> bool {
        let Some(requests) = self.programs.get_mut(&channel) else {
            return false;
        };
        if requests.started {
            return false;
        }
        requests.started = request == Request::StartsProgram;
        let replied = timeout(PATIENCE, requests.replies.recv()).await;
        matches!(replied, Ok(Some(true)))
    }

    async fn tell(
        &mut self,
        channel: ChannelId,
        request: Request,
        client: &mut server::Session,
    ) -> Result<(), russh::Error> {
        match self.answer(channel, request).await {
            true => client.channel_success(channel),
            false => client.channel_failure(channel),
        }
    }
}

impl Drop for ClientSide {
    fn drop(&mut self) {
        if self.session.login().is_none() {
            let code = self.last_code;
            let Some(code) = code else { return }; // it did not try
            metrics::failed(code);
            let observer = &self.session.shared.observer;
            observer.not_admitted(self.session.peer, code);
        }
    }
}

impl Handler for ClientSide {
    type Error = russh::Error;

    async fn auth_none(&mut self, user: &str) -> Result<Auth, Self::Error> {
        let until = Instant::now() + self.session.shared.limits.refusal_time;
        let auth = self.attempt(user, Credential::None).await;
        // Asking for methods is answered at once, a token in the name is not.
        if auth != Auth::Accept && user.contains('#') {
            sleep_until(until).await;
        }
        Ok(auth)
    }

    async fn auth_password(&mut self, user: &str, password: &str) -> Result<Auth, Self::Error> {
        let credential = Credential::Password(password.as_bytes());
        Ok(self.attempt(user, credential).await)
    }

    async fn auth_publickey_offered(
        &mut self,
        user: &str,
        offer: PublicKeyOffer<'_>,
    ) -> Result<Auth, Self::Error> {
        if is_too_weak(offer.algorithm) {
            return Ok(self.refuse(ErrorCode::AuthFailed));
        }
        let blob = offer.public_key.to_bytes().unwrap_or_default();
        Ok(self.attempt(user, Credential::OfferedKey(&blob)).await)
    }

    async fn auth_publickey(
        &mut self,
        user: &str,
        key: VerifiedPublicKey<'_>,
    ) -> Result<Auth, Self::Error> {
        if is_too_weak(key.algorithm) {
            return Ok(self.refuse(ErrorCode::AuthFailed));
        }
        let blob = key.public_key.to_bytes().unwrap_or_default();
        let signed = SignedKey::verified(&blob);
        Ok(self.attempt(user, Credential::SignedKey(signed)).await)
    }

    async fn auth_openssh_certificate(
        &mut self,
        _: &str,
        _: &Certificate,
    ) -> Result<Auth, Self::Error> {
        Ok(self.refuse(ErrorCode::AuthFailed))
    }

    async fn auth_keyboard_interactive<'a>(
        &'a mut self,
        _: &str,
        _: &str,
        _: Option<Response<'a>>,
    ) -> Result<Auth, Self::Error> {
        Ok(self.refuse(ErrorCode::Other))
    }

    async fn auth_succeeded(&mut self, client: &mut server::Session) -> Result<(), Self::Error> {
        self.admit(client.handle())?;
        self.session.nudge.notify_one();
        let Some(login) = self.session.login() else {
            return Ok(());
        };
        if login.place.is_none() {
            metrics::refused("sessions_per_workspace");
            let end = too_many(&self.session, login);
            return client.disconnect(end.reason, &end.text, "en");
        }
        if login.proof.is_running() {
            Link::open(&self.session).await;
        }
        Ok(())
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut server::Session,
    ) -> Result<(), Self::Error> {
        self.open(channel, Opening::Session, reply).await;
        Ok(())
    }

    async fn channel_open_direct_tcpip(
        &mut self,
        channel: Channel<Msg>,
        host: &str,
        port: u32,
        originator_address: &str,
        originator_port: u32,
        reply: ChannelOpenHandle,
        _: &mut server::Session,
    ) -> Result<(), Self::Error> {
        let opening = Opening::Dial {
            to: (host.to_owned(), port),
            from: (originator_address.to_owned(), originator_port),
        };
        self.open(channel, opening, reply).await;
        Ok(())
    }

    async fn channel_open_direct_streamlocal(
        &mut self,
        channel: Channel<Msg>,
        socket_path: &str,
        reply: ChannelOpenHandle,
        _: &mut server::Session,
    ) -> Result<(), Self::Error> {
        let opening = Opening::DialSocket(socket_path.to_owned());
        self.open(channel, opening, reply).await;
        Ok(())
    }

    async fn channel_close(
        &mut self,
        channel: ChannelId,
        _: &mut server::Session,
    ) -> Result<(), Self::Error> {
        self.programs.remove(&channel);
        Ok(())
    }

    fn adjust_window(&mut self, channel: ChannelId, target: u32) -> u32 {
        self.session.flow.next_target(channel, target)
    }

    async fn data(
        &mut self,
        channel: ChannelId,
        data: &[u8],
        _: &mut server::Session,
    ) -> Result<(), Self::Error> {
        self.session.flow.slow_down(channel, data.len()).await;
        Ok(())
    }

    async fn extended_data(
        &mut self,
        channel: ChannelId,
        _: u32,
        data: &[u8],
        _: &mut server::Session,
    ) -> Result<(), Self::Error> {
        self.session.flow.slow_down(channel, data.len()).await;
        Ok(())
    }

    async fn pty_request(
        &mut self,
        channel: ChannelId,
        _: &str,
        _: u32,
        _: u32,
        _: u32,
        _: u32,
        _: &[(Pty, u32)],
        client: &mut server::Session,
    ) -> Result<(), Self::Error> {
        self.tell(channel, Request::Prepares, client).await
    }

    async fn x11_request(
        &mut self,
        channel: ChannelId,
        _: bool,
        _: &str,
        _: &str,
        _: u32,
        client: &mut server::Session,
    ) -> Result<(), Self::Error> {
        self.tell(channel, Request::Prepares, client).await
    }

    async fn env_request(
        &mut self,
        channel: ChannelId,
        name: &str,
        _: &str,
        client: &mut server::Session,
    ) -> Result<(), Self::Error> {
        match self.session.allows(&ChannelAsk::Variable(name)) {
            true => client.channel_success(channel),
            false => client.channel_failure(channel),
        }
    }

    async fn shell_request(
        &mut self,
        channel: ChannelId,
        client: &mut server::Session,
    ) -> Result<(), Self::Error> {
        self.tell(channel, Request::StartsProgram, client).await
    }

    async fn exec_request(
        &mut self,
        channel: ChannelId,
        _: &[u8],
        client: &mut server::Session,
    ) -> Result<(), Self::Error> {
        self.tell(channel, Request::StartsProgram, client).await
    }

    async fn subsystem_request(
        &mut self,
        channel: ChannelId,
        _: &str,
        client: &mut server::Session,
    ) -> Result<(), Self::Error> {
        self.tell(channel, Request::StartsProgram, client).await
    }

    async fn window_change_request(
        &mut self,
        channel: ChannelId,
        _: u32,
        _: u32,
        _: u32,
        _: u32,
        client: &mut server::Session,
    ) -> Result<(), Self::Error> {
        client.channel_success(channel)
    }

    async fn agent_request(
        &mut self,
        channel: ChannelId,
        _: &mut server::Session,
    ) -> Result<bool, Self::Error> {
        Ok(self.answer(channel, Request::Prepares).await)
    }

    async fn tcpip_forward(
        &mut self,
        address: &str,
        port: &mut u32,
        _: &mut server::Session,
    ) -> Result<bool, Self::Error> {
        let ask = ChannelAsk::Listen {
            address,
            port: *port,
        };
        if !self.session.allows(&ask) {
            return Ok(false);
        }
        let session = &self.session;
        let asked = async {
            let lane = Link::lane(session).await.ok()?;
            lane.handle.tcpip_forward(address, *port).await.ok()
        };
        let Ok(Some(chosen)) = timeout(PATIENCE, asked).await else {
            return Ok(false);
        };
        if *port == 0 {
            *port = chosen;
        }
        session.forwards.listens(*port);
        Ok(true)
    }

    async fn cancel_tcpip_forward(
        &mut self,
        address: &str,
        port: u32,
        _: &mut server::Session,
    ) -> Result<bool, Self::Error> {
        let session = &self.session;
        if !session.forwards.may_connect(port) {
            return Ok(false);
        }
        session.forwards.listens_no_longer(port);
        let asked = async {
            let lane = Link::lane(session).await.ok()?;
            lane.handle.cancel_tcpip_forward(address, port).await.ok()
        };
        Ok(matches!(timeout(PATIENCE, asked).await, Ok(Some(()))))
    }

    async fn streamlocal_forward(
        &mut self,
        path: &str,
        _: &mut server::Session,
    ) -> Result<bool, Self::Error> {
        let session = &self.session;
        if !session.allows(&ChannelAsk::ListenSocket(path)) {
            return Ok(false);
        }
        let asked = async {
            let lane = Link::lane(session).await.ok()?;
            lane.handle.streamlocal_forward(path).await.ok()
        };
        let granted = matches!(timeout(PATIENCE, asked).await, Ok(Some(())));
        if granted {
            session.forwards.listens_at(path);
        }
        Ok(granted)
    }

    async fn cancel_streamlocal_forward(
        &mut self,
        path: &str,
        _: &mut server::Session,
    ) -> Result<bool, Self::Error> {
        let session = &self.session;
        if !session.forwards.may_connect_at(path) {
            return Ok(false);
        }
        session.forwards.listens_no_longer_at(path);
        let asked = async {
            let lane = Link::lane(session).await.ok()?;
            lane.handle.cancel_streamlocal_forward(path).await.ok()
        };
        Ok(matches!(timeout(PATIENCE, asked).await, Ok(Some(()))))
    }
}

/// What a request is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Request {
    Prepares,
    StartsProgram,
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
fn is_too_weak(algorithm: &Algorithm) -> bool {
    matches!(algorithm, Algorithm::Rsa { hash: None } | Algorithm::Dsa)
}

/// How long the workspace may take to answer a request, in which the client's other
/// channels wait.
const PATIENCE: Duration = Duration::from_secs(10);
