//! `gitpod open`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::json;

use super::connect::{connect_access, connect_page, failure};
use crate::cli::{Format, OpenArgs, StateDir};
use crate::exit::Failure;
use crate::local::{OpenRequest, SignInRequest};
use crate::{print, private_file, state_dir};

/// Prints a link that signs a browser in, and opens it if there is one.
pub(crate) async fn open(args: OpenArgs) -> Result<(), Failure> {
    let url = link(&args).await?;
    if args.output.output == Format::Json {
        return print::json(&json!({"url": url}));
    }
    print::to_stdout(|out| writeln!(out, "{url}"))?;
    let lasts = if args.id.is_some() {
        "a minute"
    } else {
        "15 minutes"
    };
    let opened = !args.no_browser && open_browser(&args.state, &url);
    print::note(&match opened {
        true => "opened in your browser; the link signs one browser in, once".to_owned(),
        false => format!("the link signs one browser in, once, within {lasts}"),
    });
    Ok(())
}

async fn link(args: &OpenArgs) -> Result<String, Failure> {
    let cannot = |why: tonic::Status| failure("cannot make a link", &why);
    let Some(id) = &args.id else {
        let mut up = connect_page(&args.state).await?;
        let answer = up.sign_in(SignInRequest {}).await.map_err(cannot)?;
        return Ok(answer.into_inner().url);
    };
    let request = OpenRequest {
        workspace_id: id.clone(),
        port: args.port.map_or(0, u32::from),
    };
    let mut up = connect_access(&args.state).await?;
    let answer = up.open(request).await.map_err(cannot)?;
    Ok(answer.into_inner().url)
}

/// Whether a browser was started. That there is none is no failure: the link is printed.
///
/// The link is a secret until it is used, so the browser is not told it among its
/// arguments, which everybody on the machine can see, but in a file.
fn open_browser(state: &StateDir, url: &str) -> bool {
    let Some(program) = browser() else {
        return false;
    };
    let file = match state_dir::locate(state.state_dir.as_deref()) {
        Ok(dir) => dir.join("open.html"),
        Err(_) => return false,
    };
    if let Err(why) = private_file::replace(&file, &leading_to(url)) {
        tracing::debug!(%why, "no file for the browser");
        return false;
    }
    let quiet = || Stdio::null();
    Command::new(program)
        .arg(&file)
        .stdin(quiet())
        .stdout(quiet())
        .stderr(quiet())
        .spawn()
        .is_ok()
}

/// What opens files here, if there is a screen to show them.
fn browser() -> Option<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    if let Some(named) = set("BROWSER") {
        return Some(PathBuf::from(named));
    }
    set("DISPLAY").or_else(|| set("WAYLAND_DISPLAY"))?;
    let dirs = set("PATH")?;
    std::env::split_paths(&dirs)
        .map(|dir| dir.join("xdg-open"))
        .find(|program| is_file(program))
}

fn is_file(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|about| about.is_file())
}

/// The link is made of letters that need no escaping in HTML; `&` does not occur.
fn leading_to(url: &str) -> String {
    format!(
        "<!doctype html><meta charset=\"utf-8\"><meta name=\"referrer\" content=\"no-referrer\">\
         <meta http-equiv=\"refresh\" content=\"0; url={url}\"><title>gitpod</title>\n"
    )
}
