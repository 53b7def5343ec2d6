//! From the page into a workspace.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Redirect;
use gitpod_routing::WorkspaceId;

use super::Page;
use super::change::id_of;
use super::form::Named;
use super::refusal::Refusal;
use crate::port;
use crate::workspaces::WorkspaceError;

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

/// Where [`workspace`] and [`port()`] are.
pub(super) fn path(id: &WorkspaceId, port: Option<u16>) -> String {
    let port = port.map_or_else(String::new, |port| format!("/{port}"));
    format!("/open/{id}{port}")
}

async fn open(page: &Page, id: &str, port: Option<u16>) -> Result<Redirect, Refusal> {
    let id = id_of(id)?;
    match page.shared.workspaces.sign_in_link(&id, port).await {
        Ok(link) => Ok(Redirect::to(link.expose())),
        // There is the button that starts it.
        Err(WorkspaceError::NotRunning(_)) => Ok(Redirect::to(&format!("/#{id}"))),
        Err(why) => Err(why.into()),
    }
}
