//! A WebSocket to a workspace.

use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::harness::{Up, Workspace};

/// As its owner's program opens it.
pub(crate) struct Socket(pub(crate) WebSocketStream<TcpStream>);

impl Socket {
    pub(crate) async fn open(up: &Up, workspace: &Workspace, port: u16, path: &str) -> Self {
        let token = [("x-gitpod-owner-token", workspace.token())];
        let opened = Self::try_open(up, &workspace.host(port), path, &token).await;
        Self(opened.unwrap())
    }

    pub(crate) async fn try_open(
        up: &Up,
        host: &str,
        path: &str,
        fields: &[(&'static str, &str)],
    ) -> Result<WebSocketStream<TcpStream>, Error> {
        let mut request = format!("ws://{host}{path}").into_client_request()?;
        for (name, value) in fields {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        let stream = TcpStream::connect(up.address()).await.unwrap();
        let (socket, _) = tokio_tungstenite::client_async(request, stream).await?;
        Ok(socket)
    }

    pub(crate) async fn say(&mut self, text: &str) {
        self.0.send(Message::text(text)).await.unwrap();
    }

    /// What comes back of `text`.
    pub(crate) async fn echo(&mut self, text: &str) -> String {
        self.say(text).await;
        loop {
            match self.0.next().await.unwrap().unwrap() {
                Message::Text(text) => return text.to_string(),
                _ => continue,
            }
        }
    }
}
