//! How the proxy reaches pods: as local workspaces with a network of their own are reached.
//! Whoever answers at the address is asked whether it is that very instance.

use std::collections::HashMap;
use std::sync::Mutex;

use async_trait::async_trait;
use gitpod_routing::{ConnectError, Connection, Connector, DialTarget, InstanceId};
use tokio::io::AsyncWriteExt;
use turmoil::net::TcpStream;

use crate::kept::Kept;
use crate::platform::Platform;
use crate::wire::{POD_PORT, read_line};

/// Knows where an instance was, and never hears that it has gone.
#[derive(Debug)]
pub(crate) struct Reach {
    platform: Platform,
    known: Mutex<HashMap<InstanceId, &'static str>>,
    asks: Asks,
}

/// Whether a pod is asked who it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Asks {
    WhoIsThere,
    /// To see that the simulation notices.
    Nobody,
}

impl Reach {
    pub(crate) fn new(platform: Platform, asks: Asks) -> Self {
        Self {
            platform,
            known: Mutex::default(),
            asks,
        }
    }

    fn address_of(&self, instance: &InstanceId) -> Option<&'static str> {
        let mut known = self.known.lock().unwrap();
        if let Some(pod) = known.get(instance) {
            return Some(pod); // however old that is
        }
        let pod = self.platform.place_of(instance)?;
        known.insert(instance.clone(), pod);
        Some(pod)
    }
}

#[async_trait]
impl Connector for Reach {
    async fn connect(&self, target: &DialTarget) -> Result<Connection, ConnectError> {
        let instance = &target.info.instance;
        let pod = self
            .address_of(instance)
            .ok_or(ConnectError::NotListening)?;
        let unreachable = |why: std::io::Error| ConnectError::Unreachable(why.into());
        let stream = TcpStream::connect((pod, POD_PORT)).await;
        let mut stream = stream.map_err(unreachable)?;
        let asked = match self.asks {
            Asks::WhoIsThere => instance.as_str(),
            Asks::Nobody => "anybody",
        };
        let line = format!("{asked}\n");
        stream
            .write_all(line.as_bytes())
            .await
            .map_err(unreachable)?;
        match read_line(&mut stream).await.map_err(unreachable)?.as_str() {
            "here" => Ok(Box::new(Kept::new(stream, self.platform.clone()))),
            _ => Err(ConnectError::NotListening),
        }
    }
}
