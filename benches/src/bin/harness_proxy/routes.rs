//! Which workspaces there are: lines `id ip token`.

use std::net::IpAddr;
use std::path::Path;

use gitpod_benches::Error;
use gitpod_routing::{InstanceId, MemoryProvider, OwnerToken, WorkspaceId, WorkspaceInfo};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// The table behind both listeners.
#[derive(Clone)]
pub(crate) struct Routes(MemoryProvider);

impl Routes {
    /// # Errors
    ///
    /// If the file cannot be read, or has a line that is no route.
    pub(crate) fn read(file: &Path) -> Result<Self, Error> {
        let routes = Self(MemoryProvider::new());
        for line in std::fs::read_to_string(file)?.lines() {
            routes.0.insert(workspace(line)?);
        }
        Ok(routes)
    }

    /// As a provider.
    pub(crate) fn workspaces(&self) -> MemoryProvider {
        self.0.clone()
    }

    /// Takes new routes from whoever connects.
    pub(crate) async fn admit(self, listener: TcpListener) {
        while let Ok((stream, _)) = listener.accept().await {
            let routes = self.clone();
            tokio::spawn(async move {
                if let Err(why) = routes.admit_from(stream).await {
                    eprintln!("harness_proxy: no route: {why}");
                }
            });
        }
    }

    async fn admit_from(&self, stream: TcpStream) -> Result<(), Error> {
        let mut lines = BufReader::new(stream);
        let mut line = String::new();
        while lines.read_line(&mut line).await? > 0 {
            self.0.insert(workspace(&line)?);
            lines.write_all(b"ok\n").await?;
            line.clear();
        }
        Ok(())
    }
}

/// The one run that a workspace of the harness ever has is called as the workspace is.
fn workspace(line: &str) -> Result<WorkspaceInfo, Error> {
    let mut words = line.split_whitespace();
    let (Some(id), Some(ip), Some(token), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(format!("{line:?} is not \"id ip token\"").into());
    };
    let instance: InstanceId = id.parse()?;
    let address: IpAddr = ip.parse()?;
    let id: WorkspaceId = id.parse()?;
    Ok(WorkspaceInfo::new(id, instance, OwnerToken::new(token)).running_at(address))
}
