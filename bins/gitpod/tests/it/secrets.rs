//! The owner token goes to the owner and nowhere else.

use std::path::Path;

use crate::harness::{Up, free_port, program, repository};

#[test]
fn owner_token_never_reaches_the_workspace_logs_arguments_or_error_pages() {
    let up = Up::new();
    let port = free_port();
    let yml = format!(
        "tasks:\n  - command: env; exec python3 {} {port}\n",
        program("web.py").canonicalize().unwrap().display()
    );
    let repo = repository(&[(".gitpod.yml", &yml)]);
    let workspace = up.start(repo.path());
    let token = workspace.token();
    let cookie_name = format!(
        "_ws_localhost_ws_{}_owner_",
        workspace.0["instance_id"].as_str().unwrap()
    );
    let page = "gitpod_page_8080=0123456789abcdef";
    let cookie = format!("mine=1; {cookie_name}={token}; {page}; other=2");

    up.request_until(&workspace, port, |answer| answer.status() == 200);
    // `/headers` answers with the head that the program received.
    let by_header = up.owner_request(&workspace, port, "/headers");
    let by_cookie = up.request(&workspace.host(port), "/headers", &[("Cookie", &cookie)]);
    assert_eq!((by_header.status(), by_cookie.status()), (200, 200));
    assert!(by_cookie.body().contains("mine=1"), "{}", by_cookie.0);
    assert!(by_cookie.body().contains("other=2"), "{}", by_cookie.0);
    // Whoever sends it here: who is signed in to the page is no workspace's business.
    assert!(!by_cookie.0.contains("gitpod_page_"), "{}", by_cookie.0);
    let refused = up.owner_request(&workspace, free_port(), "/");

    for answer in [&by_header, &by_cookie, &refused] {
        assert!(!answer.0.contains(token), "{}", answer.0);
    }
    assert!(!up.log().contains(token));
    let content = up.describe(workspace.id())["content"]["path"].clone();
    let content = Path::new(content.as_str().unwrap());
    assert!(
        !holds(content.parent().unwrap(), token),
        "workspace directory"
    );
    assert!(!any_process_shows(token), "arguments or environment");
}

fn holds(dir: &Path, token: &str) -> bool {
    std::fs::read_dir(dir).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() {
            return holds(&path, token);
        }
        std::fs::read(&path).is_ok_and(|bytes| contains(&bytes, token))
    })
}

fn any_process_shows(token: &str) -> bool {
    let own = std::process::id().to_string();
    std::fs::read_dir("/proc").unwrap().any(|entry| {
        let entry = entry.unwrap();
        if entry.file_name().to_string_lossy() == own {
            return false;
        }
        ["cmdline", "environ"].iter().any(|file| {
            std::fs::read(entry.path().join(file)).is_ok_and(|bytes| contains(&bytes, token))
        })
    })
}

fn contains(bytes: &[u8], token: &str) -> bool {
    bytes
        .windows(token.len())
        .any(|part| part == token.as_bytes())
}
