//! The server's side.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

use super::files::{Contents, Files};

/// TLS 1.2 and 1.3 with the certificate that the files hold now.
///
/// The whole configuration is swapped, not only the certificate: whom we trust changes with it. Files that
/// cannot be used – half written, a key that belongs to another certificate – are logged, and what was good
/// stays.
#[derive(Clone)]
pub struct ServerTls(Arc<Inner>);

struct Inner {
    files: Files,
    current: ArcSwap<ServerConfig>,
    seen: Mutex<Contents>,
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ServerTls").field(&self.0.files).finish()
    }
}

/// How often the files are looked at: a new certificate is good for days before the old one ends.
const LOOK: Duration = Duration::from_secs(5);

impl ServerTls {
    /// What `files` hold. If they name an authority, every client must have a certificate of it.
    ///
    /// # Errors
    ///
    /// If they cannot be read or used.
    pub fn open(files: Files) -> anyhow::Result<Self> {
        let place = || {
            format!(
                "cannot use the TLS files {} and {}",
                files.certificate.display(),
                files.key.display()
            )
        };
        let contents = files.read().with_context(place)?;
        let current = configure(&contents).with_context(place)?;
        Ok(Self(Arc::new(Inner {
            files,
            current: ArcSwap::from_pointee(current),
            seen: Mutex::new(contents),
        })))
    }

    /// Looks at the files from time to time until `stop`.
    #[must_use]
    pub fn reloading(self, stop: CancellationToken) -> Self {
        let this = self.clone();
        tokio::spawn(async move {
            while stop
                .run_until_cancelled(tokio::time::sleep(LOOK))
                .await
                .is_some()
            {
                if let Err(why) = this.reload() {
                    let why: &(dyn std::error::Error + 'static) = why.as_ref();
                    tracing::warn!(why, "changed TLS files cannot be used; the last ones stay");
                }
            }
        });
        self
    }

    /// Uses what the files hold now, if that has changed.
    ///
    /// # Errors
    ///
    /// If they cannot be read or used.
    pub fn reload(&self) -> anyhow::Result<()> {
        let contents = self.0.files.read()?;
        let mut seen = self.0.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if *seen == contents {
            return Ok(());
        }
        self.0.current.store(Arc::new(configure(&contents)?));
        *seen = contents;
        tracing::info!(certificate = %self.0.files.certificate.display(), "TLS files were read again");
        Ok(())
    }

    pub(crate) async fn accept(&self, stream: TcpStream) -> std::io::Result<TlsStream<TcpStream>> {
        let acceptor = TlsAcceptor::from(self.0.current.load_full());
        acceptor.accept(stream).await
    }
}

fn configure(contents: &Contents) -> anyhow::Result<ServerConfig> {
    let provider = super::provider();
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .context("no version of TLS is left")?;
    let builder = match contents.roots()? {
        None => builder.with_no_client_auth(),
        Some(roots) => {
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider)
                .build()
                .context("the authority cannot be used")?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config = builder
        .with_single_cert(contents.chain()?, contents.key()?)
        .context("certificate and key do not belong together")?;
    // A resumed session would go on with a client certificate that is not trusted any more.
    if contents.roots()?.is_some() {
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
    }
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}
