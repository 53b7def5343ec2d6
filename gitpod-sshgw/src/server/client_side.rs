//! What clients may do: log in, open channels, ask for forwards.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use russh::keys::Certificate;
use russh::server::{
    Auth, ChannelOpenHandle, Handler, Msg, PublicKeyOffer, Response, VerifiedPublicKey,
};
use russh::{Channel, ChannelId, Pty, server};
use tokio::time::{Instant, sleep_until};

use super::budget::Budget;
use super::count::Place;
use super::entrance::{Entrance, is_too_weak};
use super::forwards;
use super::hold::settle;
use super::link::Link;
use super::metrics::{self, Connected};
use super::opening::{Asked, Opening};
use super::requests::{Programs, Request};
use super::session::{Login, Session};
use super::watch::too_many;
use crate::credential::{Credential, SignedKey};
use crate::observer::SessionInfo;
use crate::policy::ChannelAsk;

/// Hears what one client says. Dropped when its connection ends.
#[derive(Debug)]
pub(crate) struct ClientSide {
    session: Arc<Session>,
    budget: Budget,
    /// A stranger's place, until she is none.
    place: Option<Place<IpAddr>>,
    entrance: Entrance,
    programs: Programs,
}

impl ClientSide {
    pub(crate) fn new(session: Arc<Session>, budget: Budget, place: Place<IpAddr>) -> Self {
        let entrance = Entrance::new(session.shared.limits.login_attempts);
        Self {
            session,
            budget,
            place: Some(place),
            entrance,
            programs: Programs::default(),
        }
    }

    async fn attempt(&mut self, user: &str, credential: Credential<'_>) -> Auth {
        Box::pin(self.entrance.attempt(&self.session, user, credential)).await
    }

    /// Makes the session that of who was admitted.
    fn admit(&mut self, client: server::Handle) -> Result<(), russh::Error> {
        let Some((proof, right, method)) = self.entrance.take_admitted() else {
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
        let login = self.session.login();
        let has_place = login.is_some_and(|login| login.place.is_some());
        let allowed = has_place && self.session.allows(&opening.ask());
        let place = match self.session.take_channel(allowed) {
            Ok(place) => place,
            Err(why) => return reply.reject(why).await,
        };
        let replies = match opening {
            Opening::Session => Some(self.programs.expect(channel.id())),
            Opening::Dial { .. } | Opening::DialSocket(_) => None,
        };
        let asked = Asked {
            place,
            channel,
            reply,
            replies,
        };
        self.session.spawn(asked.serve(opening));
    }

    async fn tell(
        &mut self,
        channel: ChannelId,
        request: Request,
        client: &mut server::Session,
    ) -> Result<(), russh::Error> {
        self.programs
            .tell(&self.session, (channel, request), client)
            .await
    }
}

impl Drop for ClientSide {
    fn drop(&mut self) {
        if self.session.login().is_none() {
            let Some(code) = self.entrance.code() else {
                return; // it did not try
            };
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
            return Ok(self.entrance.refuse_key(&self.session));
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
            return Ok(self.entrance.refuse_key(&self.session));
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
        Ok(self.entrance.refuse_key(&self.session))
    }

    async fn auth_keyboard_interactive<'a>(
        &'a mut self,
        _: &str,
        _: &str,
        _: Option<Response<'a>>,
    ) -> Result<Auth, Self::Error> {
        Ok(self.entrance.refuse_method(&self.session))
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
        } else if self.session.is_held() {
            // Whoever only forwards ports wants it to run as well.
            let session = Arc::clone(&self.session);
            self.session
                .spawn(async move { drop(settle(&session).await) });
        }
        Ok(())
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut server::Session,
    ) -> Result<(), Self::Error> {
        Box::pin(self.open(channel, Opening::Session, reply)).await;
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
        Box::pin(self.open(channel, opening, reply)).await;
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
        Box::pin(self.open(channel, opening, reply)).await;
        Ok(())
    }

    async fn channel_close(
        &mut self,
        channel: ChannelId,
        _: &mut server::Session,
    ) -> Result<(), Self::Error> {
        self.programs.forget(channel);
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
        let (session, request) = (&self.session, Request::Prepares);
        Ok(self.programs.answer(session, channel, request).await)
    }

    async fn tcpip_forward(
        &mut self,
        address: &str,
        port: &mut u32,
        _: &mut server::Session,
    ) -> Result<bool, Self::Error> {
        let chosen = forwards::listen(&self.session, address, *port).await;
        *port = chosen.unwrap_or(*port);
        Ok(chosen.is_some())
    }

    async fn cancel_tcpip_forward(
        &mut self,
        address: &str,
        port: u32,
        _: &mut server::Session,
    ) -> Result<bool, Self::Error> {
        Ok(forwards::cancel(&self.session, address, port).await)
    }

    async fn streamlocal_forward(
        &mut self,
        path: &str,
        _: &mut server::Session,
    ) -> Result<bool, Self::Error> {
        Ok(forwards::listen_at(&self.session, path).await)
    }

    async fn cancel_streamlocal_forward(
        &mut self,
        path: &str,
        _: &mut server::Session,
    ) -> Result<bool, Self::Error> {
        Ok(forwards::cancel_at(&self.session, path).await)
    }
}
