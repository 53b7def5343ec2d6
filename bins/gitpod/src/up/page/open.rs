//! From the page into a workspace.

use axum::extract::{Path, State};
use axum::response::Redirect;

use super::Page;
use super::change::id_of;
use super::refusal::Refusal;

/// Leads to the editor of a workspace, signed in.
pub(super) async fn workspace(
    State(page): State<Page>,
    Path(id): Path<String>,
) -> Result<Redirect, Refusal> {
    open(&page, &id, None).await
}

/// Leads to a port of a workspace, signed in.
pub(super) async fn port(
    State(page): State<Page>,
    Path((id, port)): Path<(String, u16)>,
) -> Result<Redirect, Refusal> {
    open(&page, &id, Some(port)).await
}

async fn open(page: &Page, id: &str, port: Option<u16>) -> Result<Redirect, Refusal> {
    let link = page
        .shared
        .workspaces
        .sign_in_link(&id_of(id)?, port)
        .await?;
    Ok(Redirect::to(link.expose()))
}
