//! From the page into a workspace.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Redirect;

use super::Page;
use super::change::id_of;
use super::form::Named;
use super::refusal::Refusal;
use crate::port;

/// Leads to the editor of a workspace, signed in.
pub(super) async fn workspace(
    State(page): State<Page>,
    Named(id): Named<String>,
) -> Result<Redirect, Refusal> {
    open(&page, &id, None).await
}

/// Leads to a port of a workspace, signed in.
pub(super) async fn port(
    State(page): State<Page>,
    Named((id, number)): Named<(String, String)>,
) -> Result<Redirect, Refusal> {
    let number = port::read(&number).map_err(|why| {
        Refusal::new(
            StatusCode::NOT_FOUND,
            why,
            "go on from the page, which knows all ports",
        )
    })?;
    open(&page, &id, Some(number)).await
}

async fn open(page: &Page, id: &str, port: Option<u16>) -> Result<Redirect, Refusal> {
    let link = page
        .shared
        .workspaces
        .sign_in_link(&id_of(id)?, port)
        .await?;
    Ok(Redirect::to(link.expose()))
}
