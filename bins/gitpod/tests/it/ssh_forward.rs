//! Forwarding by OpenSSH's client: ports, sockets, the agent.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Command, Stdio};

use crate::harness::{PATIENCE, free_port, wait_until};
use crate::ssh_harness::{Background, Login, pattern, succeeded, text};

/// Shared networks have no port that is surely free.
const OWN: &[&str] = &["--network", "auto"];

fn web(port: u16) -> String {
    format!("tasks:\n  - command: echo inside > index.html && exec python3 -m http.server {port}\n")
}

fn with_web() -> Option<(Login, u16)> {
    let port = free_port();
    let login = Login::with(OWN, &[(".gitpod.yml", &web(port))])?;
    login
        .up
        .request_until(&login.workspace, port, |answer| answer.status() == 200);
    Some((login, port))
}

/// What a web server at the other end of `stream` says.
fn get(mut stream: impl Read + Write) -> String {
    let sent = stream.write_all(b"GET / HTTP/1.0\r\n\r\n");
    let mut answer = Vec::new();
    let _ = sent.and_then(|()| stream.read_to_end(&mut answer));
    text(&answer)
}

#[test]
fn local_port_leads_to_one_of_the_workspace() {
    let Some((login, port)) = with_web() else {
        return;
    };
    let local = free_port();
    let forward = format!("{local}:127.0.0.1:{port}");
    let by_name = free_port();
    let second = format!("{by_name}:localhost:{port}");
    let _ssh = login.background(&["-N", "-L", &forward, "-L", &second, "ws"]);
    for local in [local, by_name] {
        wait_until("the port is forwarded", || {
            TcpStream::connect(("127.0.0.1", local))
                .is_ok_and(|stream| get(stream).contains("inside"))
        });
    }
    // A port where nobody listens closes, and the connection goes on.
    let nobody = free_port();
    let dead = format!("{nobody}:127.0.0.1:1");
    let _other = login.background(&["-N", "-L", &dead, "ws"]);
    wait_until("it listens", || {
        TcpStream::connect(("127.0.0.1", nobody)).is_ok()
    });
    assert_eq!(get(TcpStream::connect(("127.0.0.1", nobody)).unwrap()), "");
}

#[test]
fn proxy_of_socks_reaches_ports_of_the_workspace() {
    let Some((login, port)) = with_web() else {
        return;
    };
    let local = free_port();
    let _ssh = login.background(&["-N", "-D", &local.to_string(), "ws"]);
    wait_until("it proxies", || {
        TcpStream::connect(("127.0.0.1", local)).is_ok_and(|mut stream| {
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            let mut greeting = [0; 2];
            let mut answer = [0; 10];
            let mut request = vec![5, 1, 0, 3, 9];
            request.extend(b"localhost");
            request.extend(port.to_be_bytes());
            stream.write_all(&[5, 1, 0]).is_ok()
                && stream.read_exact(&mut greeting).is_ok()
                && stream.write_all(&request).is_ok()
                && stream.read_exact(&mut answer).is_ok()
                && answer[1] == 0
                && get(stream).contains("inside")
        })
    });
}

#[test]
fn port_of_the_workspace_leads_back_to_the_user() {
    let Some(login) = Login::with(OWN, &[]) else {
        return;
    };
    let mine = TcpListener::bind("127.0.0.1:0").unwrap();
    let back = format!("0:127.0.0.1:{}", mine.local_addr().unwrap().port());
    let mut ssh = login.background(&["-v", "-N", "-R", &back, "ws"]);
    let port = allocated_port(&mut ssh);
    let sent = pattern(3_000_000);
    let served = sent.clone();
    let server = std::thread::spawn(move || mine.accept().unwrap().0.write_all(&served).unwrap());

    let dial = format!(
        "import socket,sys,shutil; shutil.copyfileobj(socket.create_connection(('127.0.0.1',{port})).makefile('rb'), sys.stdout.buffer)"
    );
    let output = login.ssh(["ws", &format!("python3 -c \"{dial}\"")]);

    server.join().unwrap();
    assert!(
        output.stdout == sent,
        "{} {}",
        output.stdout.len(),
        text(&output.stderr)
    );
}

/// The port that was chosen for a forward of port 0.
fn allocated_port(ssh: &mut Background) -> u16 {
    let mut stderr = BufReader::new(ssh.0.stderr.take().unwrap());
    let mut port = None;
    let mut seen = String::new();
    while port.is_none() {
        let mut line = String::new();
        assert_ne!(stderr.read_line(&mut line).unwrap(), 0, "ssh ended: {seen}");
        port = line
            .strip_prefix("Allocated port ")
            .and_then(|rest| rest.split(' ').next()?.parse().ok());
        seen.push_str(&line);
    }
    std::thread::spawn(move || std::io::copy(&mut stderr, &mut std::io::sink()));
    port.unwrap()
}

#[test]
fn sockets_are_forwarded_in_both_directions() {
    let Some(login) = Login::new() else { return };
    let far = login.content().join("far.sock");
    let near = login.path("near.sock");
    let mine = UnixListener::bind(login.path("mine.sock")).unwrap();
    let back = login.content().join("back.sock");
    login.run(
        "nohup socat UNIX-LISTEN:far.sock,fork SYSTEM:'echo inside' >/dev/null 2>&1 & sleep 0.1",
    );
    let there = format!("{}:{}", near.display(), far.display());
    let home = format!("{}:{}", back.display(), login.path("mine.sock").display());
    let _ssh = login.background(&["-N", "-L", &there, "-R", &home, "ws"]);
    wait_until("the socket is forwarded", || {
        UnixStream::connect(&near).is_ok_and(|mut stream| {
            let mut answer = String::new();
            stream.read_to_string(&mut answer).is_ok() && answer == "inside\n"
        })
    });
    let server = std::thread::spawn(move || mine.accept().unwrap().0.write_all(b"home").unwrap());
    wait_until("the way back is there", || back.exists());
    assert_eq!(login.run("socat -u UNIX-CONNECT:back.sock STDOUT"), "home");
    server.join().unwrap();
}

#[test]
fn agent_of_the_user_is_there_while_she_is_and_only_if_she_says_so() {
    let Some(login) = Login::new() else { return };
    let socket = login.path("agent.sock");
    let mut agent = Command::new("ssh-agent");
    agent.args(["-D", "-a"]).arg(&socket).stdout(Stdio::null());
    let _agent = Background(agent.spawn().unwrap());
    wait_until("the agent listens", || socket.exists());
    let added = Command::new("ssh-add")
        .arg(login.path("id"))
        .env("SSH_AUTH_SOCK", &socket)
        .stderr(Stdio::null())
        .status();
    assert!(added.unwrap().success());
    let ssh = |forward: &str, command: &str| {
        let mut ssh = login.client("ssh");
        ssh.env("SSH_AUTH_SOCK", &socket)
            .args([forward, "ws", command]);
        ssh.output().unwrap()
    };
    let listed = succeeded(&ssh("-A", "ssh-add -l; echo $SSH_AUTH_SOCK"));
    assert!(listed.contains("(ED25519)"), "{listed}");
    let path = listed.lines().last().unwrap();
    wait_until("the way to the agent is gone", || {
        !std::path::Path::new(path).exists()
    });
    let without = ssh("-a", "echo [$SSH_AUTH_SOCK]");
    assert_eq!(succeeded(&without), "[]\n");
}

#[test]
fn attack_43_forwards_neither_bind_nor_dial_outside_of_the_workspace() {
    let Some(login) = Login::with(OWN, &[]) else {
        return;
    };
    if login.up.describe(login.id())["network"] != "own" {
        return crate::harness::skip("no own networks here");
    }
    // What listens on this machine's loopback is not in the workspace's network.
    let outside = TcpListener::bind("127.0.0.1:0").unwrap();
    outside.set_nonblocking(true).unwrap();
    let port = outside.local_addr().unwrap().port();
    for host in ["127.0.0.1", "localhost", "[::1]", "0.0.0.0"] {
        let local = free_port();
        let forward = format!("{local}:{host}:{port}");
        let _ssh = login.background(&["-N", "-L", &forward, "ws"]);
        wait_until("it listens", || {
            TcpStream::connect(("127.0.0.1", local)).is_ok()
        });
        assert_eq!(
            get(TcpStream::connect(("127.0.0.1", local)).unwrap()),
            "",
            "{host}"
        );
    }
    assert!(outside.accept().is_err(), "somebody dialled this machine");

    // What a client lets listen, listens there, and not here.
    let local = free_port();
    for bind in ["", "*:", "0.0.0.0:", "[::]:"] {
        let port = free_port(); // of this machine: nobody else listens there
        let back = format!("{bind}{port}:127.0.0.1:{local}");
        let _ssh = login.background(&["-N", "-oExitOnForwardFailure=yes", "-R", &back, "ws"]);
        let listens = format!(
            "ss -Hltn sport = :{port} | grep -q . || grep -qi :{port:04X} /proc/net/tcp /proc/net/tcp6"
        );
        wait_until("it listens in the workspace", || {
            login.ssh(["ws", &listens]).status.success()
        });
        assert!(
            TcpStream::connect(("127.0.0.1", port)).is_err(),
            "{bind} listens on this machine"
        );
    }
}
