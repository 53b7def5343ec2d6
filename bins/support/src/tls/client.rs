//! The client's side.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, bail};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::files::{self, Files};

/// TLS to a server of a name that does not come from its address, perhaps with a certificate of our own.
///
/// The files are read for each connection, so that new ones count from the next one on.
#[derive(Clone, Debug)]
pub struct ClientTls {
    identity: Option<Files>,
    authority: PathBuf,
    server: ServerName<'static>,
}

impl ClientTls {
    /// With `files`, which must name whom to trust, to a server whose certificate is for `server`.
    ///
    /// # Errors
    ///
    /// If the files cannot be read or used.
    pub fn open(files: Files, server: &str) -> anyhow::Result<Self> {
        let Some(authority) = files.authority.clone() else {
            bail!("nobody is named whom to trust");
        };
        Self::checked(Some(files), authority, server)
    }

    /// Without a certificate of our own, to a server whose certificate comes from `authority`.
    ///
    /// # Errors
    ///
    /// If the file cannot be read or used.
    pub fn trusting(authority: PathBuf, server: &str) -> anyhow::Result<Self> {
        Self::checked(None, authority, server)
    }

    fn checked(identity: Option<Files>, authority: PathBuf, server: &str) -> anyhow::Result<Self> {
        let server = ServerName::try_from(server.to_owned());
        let this = Self {
            identity,
            authority,
            server: server.context("the server's name is none")?,
        };
        this.configure().with_context(|| {
            format!(
                "cannot use the TLS files beside {}",
                this.authority.display()
            )
        })?;
        Ok(this)
    }

    fn configure(&self) -> anyhow::Result<ClientConfig> {
        let builder = ClientConfig::builder_with_provider(super::provider())
            .with_safe_default_protocol_versions()
            .context("no version of TLS is left")?
            .with_root_certificates(files::roots(&self.authority)?);
        let Some(files) = &self.identity else {
            return Ok(builder.with_no_client_auth());
        };
        let contents = files.read()?;
        builder
            .with_client_auth_cert(contents.chain()?, contents.key()?)
            .context("certificate and key do not belong together")
    }

    pub(crate) async fn connect(
        &self,
        stream: TcpStream,
        protocol: &'static [u8],
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let mut config = self.configure().map_err(std::io::Error::other)?;
        config.alpn_protocols = vec![protocol.to_vec()];
        let connector = TlsConnector::from(Arc::new(config));
        connector.connect(self.server.clone(), stream).await
    }

    pub(crate) fn server_name(&self) -> String {
        self.server.to_str().into_owned()
    }
}
