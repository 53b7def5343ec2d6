//! What editors do that work over SSH, as VS Code's extension for that does: a script that comes in through standard input starts
//! a server in the workspace, which stays there; the editor reaches it through the connection's own SOCKS proxy.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::client;

use crate::harness::{PATIENCE, free_port, program, wait_until};
use crate::ssh_harness::{Background, Login, text};

/// The script, as it is piped to a shell. Every line that the editor shall read is marked.
fn script(marker: &str) -> String {
    let server = std::fs::read_to_string(program("editor_server.py")).unwrap();
    format!(
        r#"dir="$PWD/.editor-server"
mkdir -p "$dir"
if [ -f "$dir/pid" ] && kill -0 "$(cat "$dir/pid")" 2>/dev/null; then
    state=reused
else
    state=started
    cat > "$dir/server.py" <<'END_OF_SERVER'
{server}
END_OF_SERVER
    rm -f "$dir/log"
    nohup setsid sh -c 'echo $$ > "$0/pid"; exec python3 "$0/server.py" {marker}' "$dir" > "$dir/log" 2>&1 < /dev/null &
fi
until grep -q "listening on" "$dir/log" 2>/dev/null; do sleep 0.05; done
port=$(sed -n 's/.*listening on //p' "$dir/log")
echo "{marker}: start"
echo "state==$state=="
echo "listeningOn==$port=="
echo "{marker}: end"
cat
"#
    )
}

/// A connection with a proxy, over which the script has run.
struct Editor {
    ssh: Background,
    /// Where the client's proxy listens.
    proxy: u16,
    /// Where the server in the workspace does.
    server: u16,
    state: String,
}

impl Editor {
    fn connect(login: &Login, marker: &str) -> Self {
        let proxy = free_port();
        let mut ssh = login.background(&["-T", "-D", &proxy.to_string(), "ws", "sh"]);
        let stdin = ssh.0.stdin.as_mut().unwrap();
        stdin.write_all(script(marker).as_bytes()).unwrap();
        let mut said = BufReader::new(ssh.0.stdout.as_mut().unwrap()).lines();
        let end = format!("{marker}: end");
        let lines: Vec<String> = said
            .by_ref()
            .map_while(Result::ok)
            .take_while(|line| *line != end)
            .collect();
        let value = |name: &str| {
            let start = format!("{name}==");
            let found = lines.iter().find_map(|line| line.strip_prefix(&start));
            let found = found.and_then(|rest| rest.strip_suffix("=="));
            found
                .unwrap_or_else(|| panic!("{lines:?} {}", login.up.log()))
                .to_owned()
        };
        let (state, server) = (value("state"), value("listeningOn").parse().unwrap());
        Self {
            ssh,
            proxy,
            server,
            state,
        }
    }

    /// A connection to the server, through the proxy.
    fn dial(&self) -> TcpStream {
        let mut stream = TcpStream::connect(("127.0.0.1", self.proxy)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut request = vec![5, 1, 0, 1, 127, 0, 0, 1];
        request.extend(self.server.to_be_bytes());
        stream.write_all(&[5, 1, 0]).unwrap();
        stream.read_exact(&mut [0; 2]).unwrap();
        stream.write_all(&request).unwrap();
        let mut answer = [0; 10];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(answer[1], 0, "the proxy reaches the server");
        stream
    }

    fn get(&self, path: &str) -> String {
        let mut stream = self.dial();
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        text(&answer)
    }

    /// What comes back of `words` through a WebSocket.
    fn echo(&self, words: &str) -> String {
        let (mut socket, _) = client("ws://localhost/", self.dial()).unwrap();
        socket.send(Message::text(words)).unwrap();
        let answer = socket.read().unwrap();
        answer.into_text().unwrap().to_string()
    }

    /// Goes away as an editor does that is closed.
    fn close(mut self) {
        drop(self.ssh.0.stdin.take());
        let ended: &mut Child = &mut self.ssh.0;
        assert!(ended.wait().unwrap().success());
    }
}

#[test]
fn editor_over_ssh_starts_a_server_once_reaches_it_by_the_proxy_and_stop_ends_it() {
    let Some(login) = Login::with(&["--network", "auto"], &[]) else {
        return;
    };
    let marker = format!("editor-{}", std::process::id());
    let runs = || {
        let mut found = Command::new("pgrep");
        let found = found.args(["-f", &format!("server.py {marker}$")]);
        !found
            .stdout(Stdio::piped())
            .output()
            .unwrap()
            .stdout
            .is_empty()
    };

    let first = Editor::connect(&login, &marker);
    assert_eq!(first.state, "started");
    let version = first.get("/version");
    assert!(
        version.contains("200 OK") && version.contains("editor "),
        "{version}"
    );
    assert_eq!(first.echo("typed in the editor"), "typed in the editor");
    let (server, answer) = (first.server, version);

    // Another window, while the first is there.
    let second = Editor::connect(&login, &marker);
    assert_eq!((second.state.as_str(), second.server), ("reused", server));
    let same = second.get("/version");
    assert_eq!(
        same.lines().last(),
        answer.lines().last(),
        "the same process"
    );
    second.close();
    first.close();
    assert!(runs(), "the server stays when its editors go");

    let third = Editor::connect(&login, &marker);
    assert_eq!((third.state.as_str(), third.server), ("reused", server));
    assert_eq!(third.echo("again"), "again");
    let mut ssh = third.ssh;
    assert!(login.up.run(&["stop", login.id()]).status.success());
    ssh.0.wait().unwrap();
    wait_until("the server ends with the workspace", || !runs());
}
