//! What commands ask of the page.

use tonic::{Request, Response, Status};

use super::Page;
use crate::local::page_server;
use crate::local::{AboutRequest, AboutResponse, SignInRequest, SignInResponse};

#[tonic::async_trait]
impl page_server::Page for Page {
    async fn sign_in(&self, _: Request<SignInRequest>) -> Result<Response<SignInResponse>, Status> {
        let url = self
            .sign_in_link()
            .map_err(|why| Status::internal(why.to_string()))?;
        Ok(Response::new(SignInResponse { url }))
    }

    async fn about(&self, _: Request<AboutRequest>) -> Result<Response<AboutResponse>, Status> {
        Ok(Response::new(AboutResponse {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            http: self.shared.address.to_string(),
            domain: self.shared.domain.clone(),
            page: self.url(),
        }))
    }
}
