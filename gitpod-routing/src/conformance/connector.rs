//! What every connector has to do.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use crate::forward::{ConnectError, Connector, DialTarget};

/// A server that listens is reached, each time by a connection of its own.
///
/// `target` must be served by one that answers whatever HTTP request it gets.
///
/// # Panics
///
/// If there is no connection, or what comes back is not HTTP.
pub async fn connector_reaches(connector: &dyn Connector, target: &DialTarget) {
    let dial = || async {
        match timeout(PATIENCE, connector.connect(target)).await {
            Ok(Ok(connection)) => connection,
            Ok(Err(why)) => panic!(
                "{:?} listens, and the connector said {why:?}",
                target.service
            ),
            Err(_) => panic!("connecting to {:?} took too long", target.service),
        }
    };
    let (mut one, mut two) = (dial().await, dial().await);
    for connection in [&mut two, &mut one] {
        let request = b"GET / HTTP/1.1\r\nhost: conformance.test\r\nconnection: close\r\n\r\n";
        let mut start = [0; 5];
        let exchange = async {
            connection.write_all(request).await?;
            connection.flush().await?;
            connection.read_exact(&mut start).await
        };
        let done = timeout(PATIENCE, exchange).await;
        if !matches!(done, Ok(Ok(_))) || &start != b"HTTP/" {
            panic!("a connection to {:?} carries no HTTP", target.service);
        }
    }
}

/// A server that does not listen is [`ConnectError::NotListening`].
///
/// # Panics
///
/// If there is a connection, or another error.
pub async fn connector_tells_what_does_not_listen(connector: &dyn Connector, target: &DialTarget) {
    match timeout(PATIENCE, connector.connect(target)).await {
        Ok(Err(ConnectError::NotListening)) => {}
        Ok(Ok(_)) => panic!(
            "nothing listens at {:?}, and there is a connection",
            target.service
        ),
        Ok(Err(why)) => panic!("nothing listens at {:?}: {why:?}", target.service),
        Err(_) => panic!("connecting to {:?} took too long", target.service),
    }
}

/// Chosen by us: far longer than anything local takes.
const PATIENCE: Duration = Duration::from_secs(10);
