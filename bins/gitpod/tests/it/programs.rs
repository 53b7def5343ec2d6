//! Real programs in a workspace, used through the proxy.

use std::process::Command;

use crate::harness::{Up, free_port, program, repository, skip};

#[tokio::test(flavor = "multi_thread")]
async fn node_websocket_echo_answers_through_the_proxy() {
    let Some(modules) = std::env::var_os("GITPOD_TEST_NODE_MODULES") else {
        return skip("GITPOD_TEST_NODE_MODULES does not name a folder with the npm package `ws`");
    };
    let up = Up::new();
    let port = free_port();
    let script = program("ws-echo.mjs").canonicalize().unwrap();
    // ES modules do not look at NODE_PATH, so the program is run beside its modules.
    let yml = format!(
        "tasks:\n  - command: |\n      ln -s {} node_modules\n      cp {} .\n      exec node ws-echo.mjs {port}\n",
        std::path::Path::new(&modules).display(),
        script.display()
    );
    let repo = repository(&[(".gitpod.yml", &yml)]);
    let workspace = up.start(repo.path());
    up.request_until(&workspace, port, |answer| answer.status() == 426);

    let echoed = echo(&up, &workspace.host(port), workspace.token()).await;

    assert_eq!(echoed, "hello through the proxy");
}

async fn echo(up: &Up, host: &str, token: &str) -> String {
    use futures_util::{SinkExt, StreamExt};
    use tokio_tungstenite::tungstenite::{Message, client::IntoClientRequest};

    let mut request = format!("ws://{host}/").into_client_request().unwrap();
    let token = token.parse().unwrap();
    request.headers_mut().insert("x-gitpod-owner-token", token);
    let stream = tokio::net::TcpStream::connect(up.address()).await.unwrap();
    let (mut socket, _) = tokio_tungstenite::client_async(request, stream)
        .await
        .unwrap();
    let message = Message::text("hello through the proxy");
    socket.send(message).await.unwrap();
    loop {
        match socket.next().await.unwrap().unwrap() {
            Message::Text(text) => return text.to_string(),
            _ => continue,
        }
    }
}

#[test]
fn jupyterlab_kernel_and_terminal_work_in_chromium() {
    let Some(jupyter) = std::env::var_os("GITPOD_TEST_JUPYTER") else {
        return skip("GITPOD_TEST_JUPYTER does not name the program `jupyter` of JupyterLab");
    };
    let ide = format!("{} lab", jupyter.to_string_lossy());
    let up = Up::with(&["--ide", &ide]);
    let repo = repository(&[("README.md", "# A notebook\n")]);
    let workspace = up.start(repo.path());
    let link = up.json(&["open", workspace.id(), "-o", "json"]);

    let output = Command::new("python3")
        .arg(program("jupyter_browser.py"))
        .args(["--url", workspace.0["url"].as_str().unwrap()])
        .args(["--sign-in", link["url"].as_str().unwrap()])
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
