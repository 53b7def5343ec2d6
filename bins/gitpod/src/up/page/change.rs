//! What the page's buttons do.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use gitpod_lifecycle::{GoDuration, StopPolicy};
use gitpod_routing::{ShareId, WorkspaceId};
use serde::Deserialize;
use serde_json::{Value, json};

use super::form::{Form, Named};
use super::refusal::Refusal;
use super::{Page, card};
use crate::cli::{Checkout, PortVisibility, Wake};
use crate::repository;
use crate::workspaces::{Definition, WorkspaceError, Workspaces};

type Answer = Result<Json<Value>, Refusal>;

/// The form "New workspace".
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Create {
    repository: String,
    #[serde(default)]
    branch: String,
    #[serde(default)]
    depth: Option<u32>,
    #[serde(default)]
    timeout: String,
}

pub(super) async fn create(State(page): State<Page>, Form(form): Form<Create>) -> Answer {
    let given = |text: String| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
    let branch = given(form.branch);
    let location = location(form.repository.trim(), branch.as_deref())?;
    let checkout = Checkout {
        branch,
        depth: form.depth.filter(|depth| *depth > 0),
    };
    let mut definition = Definition::new(location, checkout);
    definition.timeout = given(form.timeout);
    let workspaces = page.shared.workspaces.clone();
    let (id, _) = whole(async move { workspaces.create(definition).await }).await?;
    Ok(Json(json!({"id": id.as_str()})))
}

/// Where a repository is: a relative path would mean what only `up` knows.
fn location(text: &str, branch: Option<&str>) -> Result<String, Refusal> {
    if text.is_empty() {
        return Err(Refusal::invalid(
            "no repository is named",
            "name a URL such as https://example.com/repo.git, or the path of a folder",
        ));
    }
    let home = std::env::var_os("HOME").unwrap_or_default();
    let text = match (text.strip_prefix("~/"), home.to_str()) {
        (Some(rest), Some(home)) => format!("{home}/{rest}"),
        _ => text.to_owned(),
    };
    let is_relative = !text.contains(':') && !text.starts_with('/');
    if is_relative {
        return Err(Refusal::invalid(
            format!("{text:?} is neither a URL nor a whole path"),
            "begin with https:// or /",
        ));
    }
    Ok(repository::location(&text, branch)?)
}

pub(super) async fn start(State(page): State<Page>, Named(id): Named<String>) -> Answer {
    with(page, &id, |all, id| async move {
        all.start(&id, None, None).await.map(drop)
    })
    .await
}

pub(super) async fn stop(State(page): State<Page>, Named(id): Named<String>) -> Answer {
    with(page, &id, |all, id| async move {
        all.stop(&id, StopPolicy::Normally).await
    })
    .await
}

pub(super) async fn delete(State(page): State<Page>, Named(id): Named<String>) -> Answer {
    with(page, &id, |all, id| async move { all.delete(&id).await }).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SetPort {
    port: u16,
    visibility: PortVisibility,
}

pub(super) async fn port(
    State(page): State<Page>,
    Named(id): Named<String>,
    Form(form): Form<SetPort>,
) -> Answer {
    with(page, &id, |all, id| async move {
        all.set_port(&id, form.port, form.visibility).await
    })
    .await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SetTimeout {
    timeout: String,
}

pub(super) async fn timeout(
    State(page): State<Page>,
    Named(id): Named<String>,
    Form(form): Form<SetTimeout>,
) -> Answer {
    let limit: GoDuration = form.timeout.trim().parse().map_err(|why| {
        Refusal::invalid(
            format!("timeout {:?}: {why}", form.timeout),
            "write it like 30m or 2h",
        )
    })?;
    with(page, &id, |all, id| async move {
        all.set_timeout(&id, limit).await
    })
    .await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SetWake {
    wake: Wake,
}

pub(super) async fn wake(
    State(page): State<Page>,
    Named(id): Named<String>,
    Form(form): Form<SetWake>,
) -> Answer {
    with(page, &id, |all, id| async move {
        all.set_wake(&id, form.wake).await
    })
    .await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewShare {
    port: Option<u16>,
    r#for: String,
}

pub(super) async fn share(
    State(page): State<Page>,
    Named(id): Named<String>,
    Form(form): Form<NewShare>,
) -> Answer {
    let id = id_of(&id)?;
    let lasts: Option<Duration> = form
        .r#for
        .parse::<GoDuration>()
        .ok()
        .and_then(GoDuration::to_std);
    let lasts = lasts.filter(|lasts| !lasts.is_zero()).ok_or_else(|| {
        Refusal::invalid(
            format!("{:?} is no time to share for", form.r#for),
            "write it like 2h",
        )
    })?;
    let all = page.shared.workspaces.clone();
    let made = whole(async move { all.share(&id, form.port, lasts).await }).await?;
    Ok(Json(card::share(&made)))
}

pub(super) async fn unshare(
    State(page): State<Page>,
    Named((id, share)): Named<(String, String)>,
) -> Answer {
    let share: ShareId = share
        .parse()
        .map_err(|_| Refusal::invalid("there is no such share", "reload the page"))?;
    with(page, &id, |all, id| async move {
        all.unshare(&id, Some(share)).await.map(drop)
    })
    .await
}

async fn with<F, W>(page: Page, id: &str, work: F) -> Answer
where
    F: FnOnce(Workspaces, WorkspaceId) -> W,
    W: Future<Output = Result<(), WorkspaceError>> + Send + 'static,
{
    let id = id_of(id)?;
    whole(work(page.shared.workspaces.clone(), id)).await?;
    Ok(Json(json!({})))
}

/// What is no id names no workspace.
pub(super) fn id_of(text: &str) -> Result<WorkspaceId, Refusal> {
    text.parse()
        .map_err(|_| WorkspaceError::NotFound(text.escape_debug().to_string()).into())
}

/// Done to its end, also if the browser goes away meanwhile.
async fn whole<T: Send + 'static>(
    work: impl Future<Output = Result<T, WorkspaceError>> + Send + 'static,
) -> Result<T, Refusal> {
    match tokio::spawn(work).await {
        Ok(done) => Ok(done?),
        Err(_) => Err(Refusal::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "it ended halfway",
            "look into the logs of `gitpod up`",
        )),
    }
}
