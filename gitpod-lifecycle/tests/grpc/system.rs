//! A manager over memory, a server and a client, joined by a pipe.

use std::collections::HashMap;

use gitpod_lifecycle::grpc::client::*;
use gitpod_lifecycle::grpc::{Policy, WorkspaceManagerService};
use gitpod_lifecycle::{
    Adapters, Clock, Manager, MemoryCluster, MemoryContent, MemoryRecords, Settings,
};
use hyper_util::rt::TokioIo;
use tonic::Code;
use tonic::transport::{Channel, Endpoint, Server};

pub(crate) struct System {
    pub(crate) manager: Manager,
    pub(crate) client: WorkspaceManagerClient<Channel>,
    pub(crate) content: MemoryContent,
}

impl System {
    pub(crate) async fn new() -> Self {
        Self::with(Policy::default()).await
    }

    pub(crate) async fn with(policy: Policy) -> Self {
        let content = MemoryContent::new();
        let adapters = Adapters::new(MemoryRecords::new(), MemoryCluster::new(), content.clone());
        let settings = Settings::new(
            "https://{{ .Prefix }}.ws.example.com".parse().unwrap(),
            "https://{{ .WorkspacePort }}-{{ .Prefix }}.ws.example.com"
                .parse()
                .unwrap(),
        );
        let manager = Manager::open(adapters, settings, Clock::system())
            .await
            .unwrap();
        let service = WorkspaceManagerService::new(manager.clone()).with_policy(policy);
        Self {
            manager,
            client: over(connect(service).await),
            content,
        }
    }

    /// Starts instance `id` of workspace `meta_id`, which must work.
    pub(crate) async fn start(&mut self, id: &str, meta_id: &str) -> StartWorkspaceResponse {
        let request = request(id, meta_id);
        self.client
            .start_workspace(request)
            .await
            .unwrap()
            .into_inner()
    }

    /// Waits until instance `id` is in `phase`.
    pub(crate) async fn reaches(&mut self, id: &str, phase: WorkspacePhase) -> WorkspaceStatus {
        let mut updates = self.client.subscribe(SubscribeRequest::default()).await;
        let updates = updates.as_mut().unwrap().get_mut();
        if let Ok(status) = self.describe(id).await
            && status.phase() == phase
        {
            return status;
        }
        loop {
            let status = updates.message().await.unwrap().unwrap().status.unwrap();
            if status.id == id && status.phase() == phase {
                return status;
            }
        }
    }

    pub(crate) async fn describe(&mut self, id: &str) -> Result<WorkspaceStatus, Code> {
        let request = DescribeWorkspaceRequest { id: id.to_owned() };
        let answer = self.client.describe_workspace(request).await;
        let answer = answer.map_err(|status| status.code())?;
        Ok(answer.into_inner().status.unwrap())
    }
}

/// A request that has all that the service asks for by default.
pub(crate) fn request(id: &str, meta_id: &str) -> StartWorkspaceRequest {
    let empty = workspace_initializer::Spec::Empty(EmptyInitializer {});
    StartWorkspaceRequest {
        id: id.to_owned(),
        service_prefix: meta_id.to_owned(),
        metadata: Some(WorkspaceMetadata {
            owner: "o1".to_owned(),
            meta_id: meta_id.to_owned(),
            annotations: HashMap::from([("team".to_owned(), "blue".to_owned())]),
            ..WorkspaceMetadata::default()
        }),
        spec: Some(StartWorkspaceSpec {
            initializer: Some(WorkspaceInitializer { spec: Some(empty) }),
            workspace_location: "r".to_owned(),
            ..StartWorkspaceSpec::default()
        }),
        r#type: WorkspaceType::Regular.into(),
    }
}

async fn connect(service: WorkspaceManagerService) -> Channel {
    let (near, far) = tokio::io::duplex(1 << 16);
    let incoming = tokio_stream::once(Ok::<_, std::io::Error>(far));
    tokio::spawn(Server::builder().serve_with_incoming(service, incoming));
    let mut near = Some(TokioIo::new(near));
    let connector = tower::service_fn(move |_| {
        let once = near
            .take()
            .ok_or_else(|| std::io::Error::other("dialled twice"));
        async move { once }
    });
    let endpoint = Endpoint::from_static("http://pipe.invalid");
    endpoint.connect_with_connector(connector).await.unwrap()
}
