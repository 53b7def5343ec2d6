//! Workspaces do not meet, and strangers do not get in.

use crate::harness::{Up, free_port, repository, wait_until};

fn web(text: &str, port: u16) -> String {
    format!("tasks:\n  - command: echo {text} > index.html && exec python3 -m http.server {port}\n")
}

#[test]
fn two_workspaces_on_one_shared_port_never_see_each_others_traffic() {
    let up = Up::with(&["--network", "shared"]);
    let port = free_port();
    let one = repository(&[(".gitpod.yml", &web("one", port))]);
    let two = repository(&[(".gitpod.yml", &web("two", port))]);
    let first = up.start(one.path());
    up.request_until(&first, port, |answer| answer.body().trim() == "one");
    let second = up.start(two.path());

    for _ in 0..20 {
        assert_eq!(up.owner_request(&first, port, "/").body().trim(), "one");
        // Only one of them can have the port; the other one's visitors must not land there.
        let answer = up.owner_request(&second, port, "/");
        assert!(
            answer.status() == 404 || answer.body().trim() == "two",
            "{}",
            answer.0
        );
    }

    assert!(up.run(&["wake", first.id(), "never"]).status.success());
    assert!(up.run(&["stop", first.id()]).status.success());
    let answer = up.owner_request(&first, port, "/");
    assert_ne!(answer.status(), 200);
}

#[test]
fn port_of_a_program_outside_the_workspace_is_not_routed() {
    let up = Up::with(&["--network", "shared"]);
    let repo = repository(&[]);
    let workspace = up.start(repo.path());
    let outside = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = outside.local_addr().unwrap().port();

    let answer = up.owner_request(&workspace, port, "/");

    assert_eq!(answer.status(), 404);
    outside.set_nonblocking(true).unwrap();
    assert!(outside.accept().is_err(), "somebody dialled it");
}

#[test]
fn no_route_of_a_private_workspace_answers_without_token() {
    let up = Up::new();
    let port = free_port();
    let repo = repository(&[(".gitpod.yml", &web("secret", port))]);
    let workspace = up.start(repo.path());
    up.request_until(&workspace, port, |answer| answer.status() == 200);
    let paths = [
        "/",
        "/_supervisor/",
        "/_supervisor/v1/status/supervisor",
        "/_supervisor/v1/status/ide",
        "/_supervisor/v1/status/content",
        "/_supervisor/v1/status/ports",
        "/_supervisor/v1/status/tasks",
        "/_supervisor/v1/events",
        "/_supervisor/frontend/main.js",
        "/favicon.ico",
        "/health",
    ];
    let wrong = [("x-gitpod-owner-token", "wrong")];
    for host in [workspace.ide_host(), workspace.host(port)] {
        for path in paths {
            let without = up.request(&host, path, &[]);
            assert_eq!(without.status(), 401, "{host}{path}");
            let with_wrong = up.request(&host, path, &wrong);
            assert_eq!(with_wrong.status(), 403, "{host}{path}");
            assert!(!without.0.contains("secret") && !with_wrong.0.contains("secret"));
        }
    }
}

#[test]
fn public_port_answers_everybody_and_the_rest_stays_private() {
    let up = Up::new();
    let port = free_port();
    let yml = format!(
        "{}ports:\n  - port: {port}\n    visibility: public\n",
        web("open", port)
    );
    let repo = repository(&[(".gitpod.yml", &yml)]);
    let workspace = up.start(repo.path());

    wait_until("the port opens", || {
        up.request(&workspace.host(port), "/", &[]).status() == 200
    });
    assert_eq!(up.request(&workspace.ide_host(), "/", &[]).status(), 401);
    assert_eq!(
        up.request(&workspace.host(port ^ 1), "/", &[]).status(),
        401
    );
}
