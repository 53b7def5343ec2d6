//! Ports, sockets and agents of one side, reached from the other.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::client::{Ssh, output, text};
use crate::support::until;

/// A client that only forwards, and ends with this.
struct Forwarding {
    child: Child,
    control: std::path::PathBuf,
}

impl Forwarding {
    async fn start(ssh: &Ssh, options: &[&str]) -> Self {
        let control = ssh.path("control");
        let path = format!("ControlPath={}", control.display());
        let command = ssh.ssh(&["-N", "-M", "-o", "ExitOnForwardFailure=yes", "-o", &path]);
        // Options of forwarding belong before the name of the host.
        let name = command.get_args().last().unwrap().to_owned();
        assert_eq!(name, "workspace");
        let mut with = Command::new("ssh");
        with.args(options)
            .args(command.get_args())
            .stdin(Stdio::null());
        let child = with.spawn().unwrap();
        until(|| control.exists()).await;
        Self { child, control }
    }

    /// Has it do this: `forward`, `cancel`.
    async fn tell(&self, ssh: &Ssh, word: &str, options: &[&str]) -> std::process::Output {
        let path = format!("ControlPath={}", self.control.display());
        let mut command = Command::new("ssh");
        command
            .args(["-O", word, "-o", &path])
            .args(options)
            .args(ssh.options())
            .arg("workspace");
        output(command).await
    }
}

impl Drop for Forwarding {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Echoes what each connection sends, in capitals, once it has said that it sends no more.
fn echo(mut stream: impl Read + Write, end: impl Fn()) {
    let mut text = Vec::new();
    stream.read_to_end(&mut text).unwrap();
    stream.write_all(&text.to_ascii_uppercase()).unwrap();
    end();
}

fn tcp_server() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            std::thread::spawn(move || echo(stream, || ()));
        }
    });
    port
}

fn unix_server(path: &Path) {
    let listener = UnixListener::bind(path).unwrap();
    std::thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            std::thread::spawn(move || echo(stream, || ()));
        }
    });
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

async fn through_tcp(port: u16, text: Vec<u8>) -> std::io::Result<Vec<u8>> {
    let talk = move || {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        let mut writing = stream.try_clone()?;
        std::thread::spawn(move || {
            let _ = writing.write_all(&text);
            let _ = writing.shutdown(std::net::Shutdown::Write);
        });
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok(answer)
    };
    tokio::task::spawn_blocking(talk).await.unwrap()
}

async fn through_unix(path: &Path, text: &'static [u8]) -> std::io::Result<Vec<u8>> {
    let path = path.to_owned();
    let talk = move || {
        let mut stream = UnixStream::connect(path)?;
        stream.write_all(text)?;
        stream.shutdown(std::net::Shutdown::Write)?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok(answer)
    };
    tokio::task::spawn_blocking(talk).await.unwrap()
}

#[tokio::test]
async fn ports_and_sockets_of_the_workspace_are_reached_from_here() {
    let ssh = Ssh::start().await;
    let (server, port, near) = (tcp_server(), free_port(), ssh.path("near"));
    unix_server(&ssh.place.file("far"));
    let (tcp, unix) = (
        format!("{port}:localhost:{server}"),
        format!("{}:{}", near.display(), ssh.place.file("far").display()),
    );
    let _forwarding = Forwarding::start(&ssh, &["-L", &tcp, "-L", &unix]).await;
    assert_eq!(
        through_tcp(port, b"hello".to_vec()).await.unwrap(),
        b"HELLO"
    );
    let big = vec![b'x'; 20_000_000];
    assert_eq!(
        through_tcp(port, big).await.unwrap(),
        vec![b'X'; 20_000_000]
    );
    assert_eq!(through_unix(&near, b"hello").await.unwrap(), b"HELLO");
}

#[tokio::test]
async fn nobody_listening_there_is_told() {
    let ssh = Ssh::start().await;
    let to = format!("localhost:{}", free_port());
    let ran = output(ssh.ssh(&["-v", "-W", &to])).await;
    let said = text(&ran.stderr);
    assert!(said.contains("open failed: connect failed"), "{said}");
    let near = ssh.path("near");
    let nowhere = format!("{}:/nowhere", near.display());
    let _forwarding = Forwarding::start(&ssh, &["-L", &nowhere]).await;
    assert_eq!(through_unix(&near, b"").await.unwrap_or_default(), b"");
}

#[tokio::test]
async fn socks_proxy_reaches_what_the_workspace_does() {
    let ssh = Ssh::start().await;
    let (server, port) = (tcp_server(), free_port());
    let _forwarding = Forwarding::start(&ssh, &["-D", &port.to_string()]).await;
    let talk = move || {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.write_all(b"\x05\x01\0").unwrap();
        let mut answer = [0; 2];
        stream.read_exact(&mut answer).unwrap();
        let mut request = b"\x05\x01\0\x03\x09localhost".to_vec();
        request.extend(server.to_be_bytes());
        stream.write_all(&request).unwrap();
        let mut answer = [0; 10];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(answer[1], 0);
        stream.write_all(b"hello").unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        answer
    };
    assert_eq!(tokio::task::spawn_blocking(talk).await.unwrap(), b"HELLO");
}

#[tokio::test]
async fn ports_and_sockets_of_here_are_reached_from_the_workspace_until_the_client_leaves() {
    let ssh = Ssh::start().await;
    let (server, port, near) = (tcp_server(), free_port(), ssh.path("near"));
    unix_server(&near);
    let far = ssh.place.file("far");
    let (tcp, unix) = (
        format!("{port}:localhost:{server}"),
        format!("{}:{}", far.display(), near.display()),
    );
    let forwarding = Forwarding::start(&ssh, &["-R", &tcp, "-R", &unix]).await;
    until(|| far.exists()).await;
    assert_eq!(
        through_tcp(port, b"hello".to_vec()).await.unwrap(),
        b"HELLO"
    );
    assert_eq!(through_unix(&far, b"hello").await.unwrap(), b"HELLO");

    let ran = forwarding.tell(&ssh, "cancel", &["-R", &tcp]).await;
    assert!(ran.status.success(), "{}", text(&ran.stderr));
    until(|| TcpStream::connect(("127.0.0.1", port)).is_err()).await;

    let ran = forwarding
        .tell(&ssh, "forward", &["-R", &format!("0:localhost:{server}")])
        .await;
    let chosen: u16 = text(&ran.stdout).trim().parse().unwrap();
    assert_eq!(
        through_tcp(chosen, b"again".to_vec()).await.unwrap(),
        b"AGAIN"
    );

    drop(forwarding);
    until(|| !far.exists() && TcpStream::connect(("127.0.0.1", chosen)).is_err()).await;
}

#[tokio::test]
async fn attack_43_reverse_ports_are_on_loopback_only_and_replace_nothing() {
    let ssh = Ssh::start().await;
    fs::write(ssh.place.file("taken"), "mine").unwrap();
    let (port, server) = (free_port(), tcp_server());
    let control =
        Forwarding::start(&ssh, &["-R", &format!("0.0.0.0:{port}:localhost:{server}")]).await;
    let listening = ssh.run("cat /proc/net/tcp /proc/net/tcp6").await;
    let ending = format!(":{port:04X}");
    let addresses: Vec<_> = text(&listening.stdout)
        .lines()
        .filter_map(|line| {
            line.split_whitespace()
                .nth(1)?
                .strip_suffix(&ending)
                .map(str::to_owned)
        })
        .collect();
    let loopback = ["0100007F", "00000000000000000000000001000000"];
    assert!(
        !addresses.is_empty() && addresses.iter().all(|it| loopback.contains(&it.as_str())),
        "{addresses:?}"
    );
    for refused in [
        format!("192.0.2.1:0:localhost:{server}"),
        format!("example.com:0:localhost:{server}"),
        format!("{}:localhost:{server}", ssh.place.file("taken").display()),
    ] {
        assert!(
            !control
                .tell(&ssh, "forward", &["-R", &refused])
                .await
                .status
                .success(),
            "{refused}"
        );
    }
    assert_eq!(fs::read_to_string(ssh.place.file("taken")).unwrap(), "mine");
}

#[tokio::test]
async fn certificate_may_forbid_terminals_and_forwarding() {
    let ssh = Ssh::start().await;
    ssh.certify(&ssh.path("ca"), &["-O", "clear"]);
    assert!(ssh.lets_in(&[]).await);
    let mut command = ssh.ssh(&["-tt"]);
    command.arg("true");
    assert!(text(&output(command).await.stderr).contains("PTY allocation request failed"));
    let server = tcp_server();
    assert!(
        !ssh.lets_in(&[
            "-o",
            "ExitOnForwardFailure=yes",
            "-R",
            &format!("0:localhost:{server}")
        ])
        .await
    );
    let ran = output(ssh.ssh(&["-v", "-W", &format!("localhost:{server}")])).await;
    assert!(
        text(&ran.stderr).contains("administratively prohibited"),
        "{}",
        text(&ran.stderr)
    );
}

/// An agent of its own, with one key.
struct KeyAgent {
    child: Child,
    socket: std::path::PathBuf,
}

impl KeyAgent {
    async fn start(ssh: &Ssh) -> Self {
        let socket = ssh.path("agent");
        let mut command = Command::new("ssh-agent");
        command
            .arg("-D")
            .arg("-a")
            .arg(&socket)
            .stdout(Stdio::null());
        let child = command.spawn().unwrap();
        until(|| socket.exists()).await;
        let mut add = Command::new("ssh-add");
        add.arg("-q")
            .arg(ssh.path("plain"))
            .env("SSH_AUTH_SOCK", &socket);
        assert!(output(add).await.status.success());
        Self { child, socket }
    }
}

impl Drop for KeyAgent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn agent_of_the_client_is_found_privately_and_only_while_it_is_there() {
    let ssh = Ssh::start().await;
    let agent = KeyAgent::start(&ssh).await;
    let run = |options: &[&str], line: &str| {
        let mut command = ssh.ssh(options);
        command.arg(line).env("SSH_AUTH_SOCK", &agent.socket);
        output(command)
    };
    let ran = run(
        &["-A", "-o", "IdentityAgent=SSH_AUTH_SOCK"],
        "ssh-add -L; echo $SSH_AUTH_SOCK; stat -c %a $(dirname $SSH_AUTH_SOCK) $SSH_AUTH_SOCK",
    )
    .await;
    let said = text(&ran.stdout);
    let mut lines = said.lines();
    let key = fs::read_to_string(ssh.path("plain.pub")).unwrap();
    assert!(
        lines.next().unwrap().starts_with(key.trim_end()),
        "{said}{}",
        text(&ran.stderr)
    );
    let socket = Path::new(lines.next().unwrap());
    assert_eq!(lines.collect::<Vec<_>>(), ["700", "600"]);
    until(|| !socket.exists() && !socket.parent().unwrap().exists()).await;
    let ran = run(
        &["-a", "-o", "IdentityAgent=SSH_AUTH_SOCK"],
        "echo [$SSH_AUTH_SOCK]",
    )
    .await;
    assert_eq!(text(&ran.stdout), "[]\n");
}
