//! One name in TLS, another one in the request.

use std::net::SocketAddr;
use std::sync::Arc;

use gitpod_routing::{CheckedStream, HostSource, TlsServerName, WorkspaceProxy};
use http::{HeaderName, Request, StatusCode, Version};
use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tower::ServiceExt;

use crate::support::*;
use crate::world::{OTHER, World};

/// Two workspaces behind one certificate for all of their names.
struct Front {
    world: World,
    address: SocketAddr,
    certificate: CertificateDer<'static>,
}

/// One connection, on which requests follow each other.
enum Connection {
    One(hyper::client::conn::http1::SendRequest<Empty<Bytes>>),
    Two(hyper::client::conn::http2::SendRequest<Empty<Bytes>>),
}

impl Front {
    async fn new(change: impl FnOnce(WorkspaceProxy) -> WorkspaceProxy) -> Self {
        let mut made = None;
        let world = World::changed(|proxy| made.insert(change(proxy)).clone()).await;
        let names = [format!("*.{DOMAIN}"), "front.example.org".to_owned()];
        let signed = rcgen::generate_simple_self_signed(names).unwrap();
        let certificate = signed.cert.der().clone();
        let key = PrivateKeyDer::try_from(signed.signing_key.serialize_der()).unwrap();
        let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], key)
            .unwrap();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Self {
            world,
            address: serve(made.unwrap(), config).await,
            certificate,
        }
    }

    /// A connection that asks for `name` in TLS, or for none.
    async fn connect(&self, version: Version, name: Option<&str>) -> Connection {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).unwrap();
        let mut config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.enable_sni = name.is_some();
        let is_two = version == Version::HTTP_2;
        config.alpn_protocols = vec![if is_two {
            b"h2".to_vec()
        } else {
            b"http/1.1".to_vec()
        }];
        let name = name.map_or_else(|| self.world.host(), str::to_owned);
        let stream = TcpStream::connect(self.address).await.unwrap();
        let stream = TlsConnector::from(Arc::new(config))
            .connect(ServerName::try_from(name).unwrap(), stream)
            .await
            .unwrap();
        let io = TokioIo::new(stream);
        if is_two {
            let made = hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await;
            let (sender, connection) = made.unwrap();
            tokio::spawn(connection);
            return Connection::Two(sender);
        }
        let (sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
        tokio::spawn(connection);
        Connection::One(sender)
    }
}

/// As an embedder does it: the name is taken once for each connection, and shared by its requests.
async fn serve(proxy: WorkspaceProxy, config: ServerConfig) -> SocketAddr {
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (acceptor, proxy) = (acceptor.clone(), proxy.clone());
            tokio::spawn(async move {
                let stream = acceptor.accept(stream).await.unwrap();
                let name = stream.get_ref().1.server_name().map(TlsServerName::new);
                let service = service_fn(move |mut request: Request<Incoming>| {
                    if let Some(name) = &name {
                        request.extensions_mut().insert(name.clone());
                    }
                    proxy.clone().oneshot(request)
                });
                let io = TokioIo::new(CheckedStream::new(stream));
                let server = auto::Builder::new(TokioExecutor::new());
                let _closed = server.serve_connection_with_upgrades(io, service).await;
            });
        }
    });
    address
}

impl Connection {
    /// What comes of a request for `host`.
    async fn get(&mut self, host: &str, fields: &[(HeaderName, &str)]) -> (StatusCode, String) {
        let request = match self {
            Self::One(_) => Request::get("/").header("host", host),
            Self::Two(_) => Request::get(format!("https://{host}/")),
        };
        let request = fields.iter().fold(request, |request, (name, value)| {
            request.header(name.clone(), *value)
        });
        let request = request.body(Empty::new()).unwrap();
        let answer = match self {
            Self::One(sender) => {
                sender.ready().await.unwrap();
                soon("an answer", sender.send_request(request)).await
            }
            Self::Two(sender) => soon("an answer", sender.send_request(request)).await,
        };
        let (head, body) = answer.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        (head.status, String::from_utf8_lossy(&body).into_owned())
    }
}

const VERSIONS: [Version; 2] = [Version::HTTP_11, Version::HTTP_2];

#[tokio::test]
async fn attack_03_connection_for_one_workspace_carries_no_request_for_another() {
    let front = Front::new(|proxy| proxy).await;
    let mine = front.world.host();
    let theirs = format!("{}-{OTHER}.{DOMAIN}", front.world.port);
    let editor = format!("{ID}.{DOMAIN}");
    for version in VERSIONS {
        let mut connection = front.connect(version, Some(&mine)).await;
        for same in [
            mine.clone(),
            mine.to_ascii_uppercase(),
            format!("{mine}."),
            format!("{mine}:8443"),
        ] {
            let (status, body) = connection.get(&same, &[]).await;
            assert_eq!(
                (status.as_u16(), &*body),
                (200, "mine"),
                "{version:?} {same}"
            );
        }
        front.world.seen.take();
        let token = [(HeaderName::from_static("x-gitpod-owner-token"), TOKEN)];
        for other in [&theirs, &editor] {
            let (status, body) = connection.get(other, &token).await;
            assert_eq!(status, 421, "{version:?} {other}: {body}");
            assert!(body.contains("connection of its own"), "{body}");
        }
        assert_eq!(front.world.seen.who(), [""; 0], "{version:?}");
        // The connection goes on for whom it is.
        let (status, _) = connection.get(&mine, &[]).await;
        assert_eq!(status, 200, "{version:?}");
        // And the request that was refused succeeds over one of its own.
        let mut second = front.connect(version, Some(&theirs)).await;
        let (status, body) = second.get(&theirs, &[]).await;
        assert_eq!((status.as_u16(), &*body), (200, "theirs"), "{version:?}");
        front.world.seen.take();
    }
}

#[tokio::test]
async fn attack_03_harmless_name_in_tls_is_no_cover() {
    let front = Front::new(|proxy| proxy).await;
    for version in VERSIONS {
        let mut connection = front.connect(version, Some("front.example.org")).await;
        let (status, _) = connection.get(&front.world.host(), &[]).await;
        assert_eq!(status, 421, "{version:?}");
        assert_eq!(front.world.seen.who(), [""; 0], "{version:?}");
        let mut nameless = front.connect(version, None).await;
        let (status, _) = nameless.get(&front.world.host(), &[]).await;
        assert_eq!(status, 200, "{version:?}");
        front.world.seen.take();
    }
}

#[tokio::test]
async fn attack_03_host_that_a_proxy_of_ours_passes_on_came_over_another_connection() {
    const PASSED_ON: HeaderName = HeaderName::from_static("x-wsproxy-host");
    let source = HostSource::new().with_trusted_header(PASSED_ON);
    let front = Front::new(|proxy| proxy.with_host_source(source)).await;
    let mine = front.world.host();
    for version in VERSIONS {
        let mut connection = front.connect(version, Some("front.example.org")).await;
        let (status, _) = connection
            .get("front.example.org", &[(PASSED_ON, &mine)])
            .await;
        assert_eq!(status, 200, "{version:?}");
        let (status, _) = connection.get(&mine, &[]).await;
        assert_eq!(status, 421, "{version:?}: nothing is passed on");
    }
}
