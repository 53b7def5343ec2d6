//! `gitpod open`.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::json;
use tokio::process::Command;

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
    let opened = match args.no_browser {
        true => Opened::Nothing,
        false => open_browser(&args.state, &url).await,
    };
    print::note(&match opened {
        Opened::Browser => "opened in your browser; the link signs one browser in, once".to_owned(),
        Opened::Nothing => format!("the link signs one browser in, once, within {lasts}"),
        Opened::Failed(why) => format!(
            "no browser was opened: {why}; open the link by hand, it signs one browser in, once, within {lasts}"
        ),
    });
    Ok(())
}

/// What became of the browser.
enum Opened {
    Browser,
    /// None is here, or none was wanted.
    Nothing,
    /// It, or what opens it, has failed: why.
    Failed(String),
}

/// How long a program may take to fail. One that goes on is the browser itself.
const FAILS_WITHIN: Duration = Duration::from_secs(3);

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

/// Starts a browser. That there is none is no failure: the link is printed.
///
/// The link is a secret until it is used, so the browser is not told it among its
/// arguments, which everybody on the machine can see, but in a file.
async fn open_browser(state: &StateDir, url: &str) -> Opened {
    let Some(program) = browser() else {
        return Opened::Nothing;
    };
    let file = match state_dir::locate(state.state_dir.as_deref()) {
        Ok(dir) => dir.join("open.html"),
        Err(_) => return Opened::Nothing,
    };
    if let Err(why) = private_file::replace(&file, &leading_to(url)) {
        return Opened::Failed(format!("{} cannot be written: {why}", file.display()));
    }
    let quiet = || Stdio::null();
    let started = Command::new(&program)
        .arg(&file)
        .stdin(quiet())
        .stdout(quiet())
        .stderr(quiet())
        .spawn();
    let name = program.display();
    let mut child = match started {
        Ok(child) => child,
        Err(why) => return Opened::Failed(format!("`{name}` cannot be started: {why}")),
    };
    match tokio::time::timeout(FAILS_WITHIN, child.wait()).await {
        Ok(Ok(status)) if !status.success() => {
            Opened::Failed(format!("`{name}` ended with {status}"))
        }
        _ => Opened::Browser,
    }
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
