//! The page in Chromium: clicked through, by keyboard, attacked, and looked at.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::harness::{Up, free_port, gitpod, program, repository, skip, wait_until};

/// Where axe-core is, unless the test is to be skipped.
fn axe() -> Option<PathBuf> {
    let Some(modules) = std::env::var_os("GITPOD_TEST_NODE_MODULES") else {
        skip("GITPOD_TEST_NODE_MODULES does not name a folder with the npm package `axe-core`");
        return None;
    };
    Some(PathBuf::from(modules).join("axe-core/axe.min.js"))
}

/// A repository that serves a page with a WebSocket on `port`.
fn socket_page(port: u16) -> tempfile::TempDir {
    let script = program("ws_page.py").canonicalize().unwrap();
    let yml = format!(
        "tasks:\n  - name: web\n    command: exec python3 {} {port}\nports:\n  - port: {port}\n    name: shop\n",
        script.display()
    );
    repository(&[(".gitpod.yml", &yml)])
}

/// What a person does at the page of `up`; it must come to its end.
fn person(up: &Up, scenario: &str, repository: &Path, port: u16, more: &[&str]) {
    let output = browse(up, scenario, repository, port)
        .args(more)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}\n{}\nup: {}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
        up.log()
    );
}

fn browse(up: &Up, scenario: &str, repository: &Path, port: u16) -> Command {
    let mut command = Command::new("python3");
    command
        .arg(program("page_browser.py"))
        .arg(scenario)
        .env("GITPOD_STATE_DIR", up.state_dir())
        .arg("--gitpod")
        .arg(gitpod().get_program())
        .args(["--page", up.ready["page"].as_str().unwrap()])
        .arg("--repository")
        .arg(repository)
        .args(["--port", &port.to_string()])
        .arg("--failure")
        .arg(std::env::temp_dir().join(format!("page-{scenario}.png")));
    command
}

#[test]
fn whole_life_by_clicking_with_a_visitor_who_is_cut_off() {
    let Some(axe) = axe() else { return };
    let up = Up::new();
    let port = free_port();
    let repo = socket_page(port);
    person(
        &up,
        "life",
        repo.path(),
        port,
        &["--axe", axe.to_str().unwrap()],
    );
}

#[test]
fn page_is_right_again_after_up_was_started_again() {
    let Some(_) = axe() else { return };
    let up = Up::new();
    let address = up.address().to_owned();
    let repo = repository(&[]);
    let mut child = browse(&up, "reconnect", repo.path(), 1)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut said = BufReader::new(child.stdout.take().unwrap());
    said.read_line(&mut line).unwrap();
    assert_eq!(line.trim(), "live");

    let up = Up::at(up.stop(), &["--listen", &address]);
    up.start(repo.path());

    assert!(child.wait().unwrap().success());
}

#[test]
fn silence_is_told_and_so_is_that_the_workspace_was_stopped() {
    let Some(axe) = axe() else { return };
    let up = Up::new();
    let repo = repository(&[(
        ".gitpod.yml",
        "tasks:\n  - name: Quiet One\n    command: exit 3\n",
    )]);
    up.start(repo.path());
    let pid = up.ready["pid"].to_string();
    let more = ["--axe", axe.to_str().unwrap(), "--pid", &pid];
    person(&up, "silent", repo.path(), 1, &more);
}

#[test]
fn whole_life_by_keyboard_alone() {
    let Some(_) = axe() else { return };
    let up = Up::new();
    let port = free_port();
    let repo = socket_page(port);
    person(&up, "keyboard", repo.path(), port, &[]);
}

/// Attack classes 22, 23, 29, 31 and 32, by a workspace's page in its owner's browser; and
/// by a server at another port of localhost, to which browsers do send the page's cookie.
#[test]
fn attack_22_page_of_a_workspace_reads_starts_and_frames_nothing() {
    let Some(_) = axe() else { return };
    let up = Up::new();
    let port = free_port();
    let repo = socket_page(port);
    let workspace = up.start(repo.path());
    up.request_until(&workspace, port, |answer| answer.status() == 200);
    let neighbour = Neighbour::new();
    let other = format!("http://localhost:{}/", neighbour.port);
    person(&up, "hostile", repo.path(), port, &["--also", &other]);
}

/// A hostile server beside the page.
struct Neighbour {
    child: Child,
    port: u16,
}

impl Neighbour {
    fn new() -> Self {
        let port = free_port();
        let child = Command::new("python3")
            .arg(program("ws_page.py"))
            .arg(port.to_string())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        wait_until("the neighbour listens", || {
            std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        Self { child, port }
    }
}

impl Drop for Neighbour {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// With GITPOD_SCREENSHOTS, a directory, the pictures in `docs/` are made anew.
#[test]
fn every_state_of_the_page_fits_narrow_windows_and_is_accessible() {
    let Some(axe) = axe() else { return };
    let up = Up::new();
    let port = free_port();
    let repo = repository(&[(".gitpod.yml", &shop(port))]);
    let parent = tempfile::tempdir().unwrap();
    let named = parent.path().join("shop");
    std::fs::rename(repo.path(), &named).unwrap();
    // Accepts connections and never answers: a clone that takes for ever.
    let mute = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let slow = format!(
        "git://127.0.0.1:{}/team/blog.git",
        mute.local_addr().unwrap().port()
    );
    let pictures = std::env::var_os("GITPOD_SCREENSHOTS").map(PathBuf::from);
    let pictures = pictures.unwrap_or_else(|| parent.path().join("pictures"));
    let more = [
        "--axe",
        axe.to_str().unwrap(),
        "--slow",
        &slow,
        "--screenshots",
        pictures.to_str().unwrap(),
    ];
    person(&up, "look", &named, port, &more);
}

fn shop(port: u16) -> String {
    format!(
        "image: example
tasks:
  - name: web
    init: echo installing
    command: exec python3 -m http.server {port}
  - name: tests
    command: for n in 1 2 3; do echo \"test $n passed\"; done; echo 'test 4 failed'; exit 1
ports:
  - port: {port}
    name: shop
    description: The front page, with test data
  - port: 9229
    name: debugger
    visibility: public
"
    )
}
