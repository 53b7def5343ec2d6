//! The client's side.

use std::sync::Arc;

use anyhow::{Context, bail};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::files::Files;

/// TLS with a certificate of our own, to a server of a name that does not come from its address.
///
/// The files are read for each connection, so that new ones count from the next one on.
#[derive(Clone, Debug)]
pub struct ClientTls {
    files: Files,
    server: ServerName<'static>,
}

impl ClientTls {
    /// With `files`, which must name whom to trust, to a server whose certificate is for `server`.
    ///
    /// # Errors
    ///
    /// If the files cannot be read or used.
    pub fn open(files: Files, server: &'static str) -> anyhow::Result<Self> {
        let server = ServerName::try_from(server).context("the server's name is none")?;
        let this = Self { files, server };
        this.configure().with_context(|| {
            format!(
                "cannot use the TLS files beside {}",
                this.files.certificate.display()
            )
        })?;
        Ok(this)
    }

    fn configure(&self) -> anyhow::Result<ClientConfig> {
        let contents = self.files.read()?;
        let Some(roots) = contents.roots()? else {
            bail!("nobody is named whom to trust");
        };
        let mut config = ClientConfig::builder_with_provider(super::provider())
            .with_safe_default_protocol_versions()
            .context("no version of TLS is left")?
            .with_root_certificates(roots)
            .with_client_auth_cert(contents.chain()?, contents.key()?)
            .context("certificate and key do not belong together")?;
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(config)
    }

    pub(crate) async fn connect(&self, stream: TcpStream) -> std::io::Result<TlsStream<TcpStream>> {
        let config = self.configure().map_err(std::io::Error::other)?;
        let connector = TlsConnector::from(Arc::new(config));
        connector.connect(self.server.clone(), stream).await
    }
}
