use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use gitpod_lifecycle::gitpod_yml::{Ignored, Problem};

use crate::workspace::{FileState, Workspace};

/// The workspace's page. What changes — tasks, ports, state — is filled in by its script from the events; what does not is
/// written here, escaped by the template.
#[derive(Template)]
#[template(path = "home.html")]
struct Home<'a> {
    workspace: &'a str,
    instance: &'a str,
    repository: Option<String>,
    repository_link: bool,
    content: std::borrow::Cow<'a, str>,
    editor: Option<&'a str>,
    problems: &'a [Problem],
    unreadable: Option<&'a str>,
    ignored: &'a [Ignored],
    absent: bool,
}

/// Scripts and styles only from this origin and none inline, so that markup which somehow got in could not run; nothing may
/// frame the page or be framed by it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const SCRIPT: &str = include_str!("../static/app.js");
const STYLE: &str = include_str!("../static/style.css");

pub(crate) async fn home(State(workspace): State<Arc<Workspace>>) -> Response {
    match Home::of(&workspace).render() {
        Ok(page) => secured("text/html; charset=utf-8", page),
        Err(error) => {
            tracing::error!(%error, "the page cannot be drawn");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

pub(crate) async fn asset(Path(name): Path<String>) -> Response {
    match name.as_str() {
        "app.js" => secured("text/javascript; charset=utf-8", SCRIPT),
        "style.css" => secured("text/css; charset=utf-8", STYLE),
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

fn secured(content_type: &'static str, body: impl IntoResponse) -> Response {
    let headers = [
        (header::CONTENT_TYPE, content_type),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (headers, body).into_response()
}

impl<'a> Home<'a> {
    fn of(workspace: &'a Workspace) -> Self {
        let config = &workspace.config;
        let repository = config.repository();
        let (problems, unreadable): (&[Problem], _) = match &workspace.file {
            FileState::Broken(error) => (&error.problems, None),
            FileState::Unreadable(error) => (&[], Some(error.as_str())),
            FileState::Read(_) | FileState::Absent => (&[], None),
        };
        Self {
            workspace: &config.workspace_id,
            instance: &config.instance_id,
            // Only these are links: the text comes from whoever started the workspace.
            repository_link: repository
                .as_deref()
                .is_some_and(|url| url.starts_with("https://") || url.starts_with("http://")),
            repository,
            content: config.content_dir.to_string_lossy(),
            editor: workspace.ide.as_ref().map(|ide| ide.name.as_str()),
            problems,
            unreadable,
            ignored: workspace.file.ignored(),
            absent: matches!(workspace.file, FileState::Absent),
        }
    }
}
