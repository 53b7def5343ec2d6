//! Whoever takes too much is refused and counted; others, and this machine's memory, do not notice.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::SystemTime;

use crate::harness::{
    PATIENCE, Response, Up, Workspace, free_port, program, repository, wait_until,
};
use crate::socket::Socket;

/// A workspace that serves on a port.
fn tenant(up: &Up) -> (Workspace, u16) {
    let port = free_port();
    let script = program("streams.py").canonicalize().unwrap();
    let yml = format!(
        "tasks:\n  - command: exec python3 {} {port}\n",
        script.display()
    );
    let workspace = up.start(repository(&[(".gitpod.yml", &yml)]).path());
    up.request_until(&workspace, port, |answer| answer.status() == 200);
    (workspace, port)
}

/// Each line of what is measured that has `words`.
fn measured(up: &Up, words: &str) -> Vec<String> {
    let mut stream = UnixStream::connect(up.state_dir().join("metrics.sock")).unwrap();
    stream
        .write_all(b"GET /metrics HTTP/1.1\r\nhost: up\r\nconnection: close\r\n\r\n")
        .unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let lines = text.lines().filter(|line| line.contains(words));
    lines.map(str::to_owned).collect()
}

fn assert_refused(up: &Up, limit: &str) {
    let counter = format!("gitpod_limit_refusals_total{{limit=\"{limit}\"}}");
    wait_until(&counter, || !measured(up, &counter).is_empty());
}

fn connect(up: &Up, head: &str) -> TcpStream {
    let mut stream = TcpStream::connect(up.address()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    // Whoever was sent away in the meantime cannot send.
    let _sent_away = stream.write_all(head.as_bytes());
    stream
}

fn rest_of(mut stream: TcpStream) -> Response {
    let mut text = Vec::new();
    let _reset = stream.read_to_end(&mut text);
    Response(String::from_utf8_lossy(&text).into_owned())
}

/// Memory of the process itself, in KiB.
fn resident(up: &Up) -> u64 {
    let pid = up.ready["pid"].as_u64().unwrap();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.unwrap()
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap()
}

fn assert_served(up: &Up, tenant: &(Workspace, u16)) {
    let answer = up.owner_request(&tenant.0, tenant.1, "/");
    assert_eq!(answer.status(), 200, "{}", answer.0);
}

#[test]
fn limits_are_shown_and_set_and_mistakes_named() {
    let up = Up::with(&["--limit", "head-time=200ms", "--limit", "streams=7"]);
    let shown = measured(&up, "gitpod_limit{");
    for line in [
        "{limit=\"head-time\"} 0.2",
        "{limit=\"streams\"} 7",
        "{limit=\"clone-time\"} 3600",
    ] {
        assert!(
            shown.iter().any(|shown| shown.ends_with(line)),
            "{line} in {shown:?}"
        );
    }
    let slow = connect(&up, "GET / HTTP/1.1\r\n");
    assert!(!rest_of(slow).0.contains(" 200 "));
    assert_refused(&up, "head-time");
    let found = up.json(&["doctor", "-o", "json"]);
    let found = found.as_array().unwrap().iter();
    let mut found = found.filter(|finding| finding["check"] == "limits");
    let told = found.next().unwrap()["found"].as_str().unwrap();
    for part in [
        "in force: ",
        "head-time=200ms, ",
        "streams=7, ",
        "clone-time=1h0m0s",
        "--limit NAME=VALUE",
    ] {
        assert!(told.contains(part), "{part} in {told}");
    }
    let wrong = up.run(&["up", "--limit", "conections=7"]);
    assert_eq!(wrong.status.code(), Some(2));
    let said = String::from_utf8_lossy(&wrong.stderr).into_owned();
    assert!(said.contains("connections-per-source"), "{said}");
    let help = up.run(&["up", "--help"]);
    assert!(String::from_utf8_lossy(&help.stdout).contains("body-idle=2m0s"));
}

#[test]
fn attack_53_slow_heads_and_bodies_cost_others_nothing() {
    let up = Up::with(&["--limit", "connections=50", "--limit", "body-idle=500ms"]);
    let tenant = tenant(&up);
    let before = resident(&up);
    let mut slow = Vec::new();
    for number in 0..600 {
        slow.push(connect(&up, "GET / HTTP/1.1\r\nhost: a\r\nx: "));
        for stream in slow.iter_mut().rev().take(20) {
            let _sent_away = stream.write_all(b"y");
        }
        if number % 30 == 0 {
            assert_served(&up, &tenant);
        }
    }
    assert_refused(&up, "connections");
    drop(slow);
    let (host, token) = (tenant.0.host(tenant.1), tenant.0.token());
    let head = format!(
        "POST / HTTP/1.1\r\nhost: {host}\r\nx-gitpod-owner-token: {token}\r\ncontent-length: 9\r\n\r\n12345"
    );
    let stalled: Vec<_> = (0..20).map(|_| connect(&up, &head)).collect();
    assert_served(&up, &tenant);
    for stream in stalled {
        assert_eq!(rest_of(stream).status(), 408);
    }
    assert_served(&up, &tenant);
    let grown = resident(&up).saturating_sub(before);
    assert!(grown < 64 * 1024, "{grown} KiB more");
    let refusals = measured(&up, "gitpod_ws_proxy_refusals_total");
    assert!(
        refusals.iter().any(|line| line.contains("limit-body-idle")),
        "{refusals:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_34_tiny_frames_and_too_many_sockets_cost_others_nothing() {
    let up = Up::with(&["--limit", "upgrades-per-workspace=3"]);
    let (attacker, neighbour) = (tenant(&up), tenant(&up));
    let before = resident(&up);
    let mut sockets = Vec::new();
    for _ in 0..3 {
        sockets.push(Socket::open(&up, &attacker.0, attacker.1, "/socket").await);
    }
    let token = [("x-gitpod-owner-token", attacker.0.token())];
    let fourth = Socket::try_open(&up, &attacker.0.host(attacker.1), "/socket", &token).await;
    assert!(fourth.unwrap_err().to_string().contains("503"));
    for round in 0..10 {
        for socket in &mut sockets {
            for _ in 0..30 {
                assert_eq!(socket.echo("x").await, "x");
            }
        }
        assert_served(&up, &neighbour);
        if round == 0 {
            let _other = Socket::open(&up, &neighbour.0, neighbour.1, "/socket").await;
        }
    }
    let chunk = "1\r\nx\r\n".repeat(5000);
    let head = format!(
        "POST / HTTP/1.1\r\nhost: {}\r\nx-gitpod-owner-token: {}\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n",
        attacker.0.host(attacker.1),
        attacker.0.token()
    );
    let tiny = connect(&up, &format!("{head}{chunk}0\r\n\r\n"));
    assert_served(&up, &neighbour);
    assert_eq!(rest_of(tiny).status(), 200);
    let grown = resident(&up).saturating_sub(before);
    assert!(grown < 64 * 1024, "{grown} KiB more");
    let refusals = measured(&up, "gitpod_ws_proxy_refusals_total");
    assert!(
        refusals.iter().any(|line| line.contains("limit-upgrades")),
        "{refusals:?}"
    );
}

/// Frames of HTTP/2: RFC 9113, section 4.1.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// `GET http /` of `a`, in HPACK without its table.
const GET: &[u8] = &[0x82, 0x86, 0x84, 0x41, 1, b'a'];

#[test]
fn attack_21_floods_of_http_2_are_ended_and_counted_and_cost_others_nothing() {
    let up = Up::new();
    let tenant = tenant(&up);
    let before = resident(&up);
    let begin = [
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
        frame(4, 0, 0, &[]),
    ]
    .concat();
    let resets: Vec<u8> = (0..5000_u32)
        .flat_map(|number| {
            let stream = number * 2 + 1;
            let cancel = frame(3, 0, stream, &8_u32.to_be_bytes());
            [frame(1, 5, stream, GET), cancel].concat()
        })
        .collect();
    let field = frame(9, 0, 1, &[0, 1, b'x', 1, b'y'].repeat(1000));
    let endless = [frame(1, 1, 1, GET), field.repeat(400)].concat();
    for flood in [resets, endless] {
        let attackers: Vec<_> = (0..10)
            .map(|_| {
                let bytes = [begin.as_slice(), &flood].concat();
                let mut stream = connect(&up, "");
                std::thread::spawn(move || {
                    let _sent_away = stream.write_all(&bytes);
                    rest_of(stream)
                })
            })
            .collect();
        for _ in 0..20 {
            assert_served(&up, &tenant);
        }
        for attacker in attackers {
            attacker.join().unwrap();
        }
    }
    let counter = "gitpod_limit_refusals_total{limit=\"stream-resets\"}";
    wait_until("all are counted", || {
        let counted = measured(&up, counter).concat();
        counted
            .rsplit(' ')
            .next()
            .and_then(|count| count.parse().ok())
            >= Some(20)
    });
    let grown = resident(&up).saturating_sub(before);
    assert!(grown < 64 * 1024, "{grown} KiB more");
}

#[test]
fn clone_that_is_too_large_is_given_up_and_nothing_of_it_is_kept() {
    let up = Up::with(&["--limit", "clone-bytes=1MiB"]);
    let mut noise = String::new();
    let mut state = 1_u32;
    while noise.len() < 4 << 20 {
        // So that it cannot be packed.
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        noise.push_str(&format!("{state:08x}"));
    }
    let repo = repository(&[("noise", &noise)]);
    let failed = up.run(&["start", repo.path().to_str().unwrap()]);
    assert_eq!(failed.status.code(), Some(1));
    let said = String::from_utf8_lossy(&failed.stderr).into_owned();
    // What is kept is its name; to start that again would end as before.
    let advice = "start with less history (--depth 1), or start `up` with a higher limit (--limit clone-bytes=…)";
    assert!(said.contains(advice), "{said}");
    assert_refused(&up, "clone-bytes");
    for workspace in std::fs::read_dir(up.state_dir().join("workspaces")).unwrap() {
        let dir = workspace.unwrap().path();
        assert!(!dir.join("content").exists() && !dir.join("content.new").exists());
    }
}

/// A git server that says a letter now and then, of a list that has no end.
fn slow_remote() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || drip(stream));
        }
    });
    port
}

#[expect(clippy::disallowed_methods, reason = "being slow is what it is for")]
fn drip(mut stream: TcpStream) {
    let letters = b"fff00123456789012345678901234567890123456789 refs/heads/".iter();
    for letter in letters.chain(std::iter::repeat(&b'x')) {
        if stream.write_all(&[*letter]).is_err() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

#[test]
fn clone_that_takes_too_long_is_given_up_and_nothing_of_it_is_kept() {
    let up = Up::with(&["--limit", "clone-time=1s"]);
    let remote = format!("git://127.0.0.1:{}/slow.git", slow_remote());
    // Without the limit it would go on for an hour.
    let failed = up.run(&["start", &remote]);
    assert_eq!(failed.status.code(), Some(1));
    let said = String::from_utf8_lossy(&failed.stderr).into_owned();
    assert!(said.contains("clone-time"), "{said}");
    assert_refused(&up, "clone-time");
    for workspace in std::fs::read_dir(up.state_dir().join("workspaces")).unwrap() {
        let dir = workspace.unwrap().path();
        assert!(!dir.join("content").exists() && !dir.join("content.new").exists());
    }
    let clones = || {
        let processes = std::fs::read_dir("/proc").unwrap().map_while(Result::ok);
        let lines = processes.filter_map(|it| std::fs::read(it.path().join("cmdline")).ok());
        let lines = lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " "));
        let clones: Vec<_> = lines.filter(|line| line.contains(&remote)).collect();
        clones
    };
    wait_until("no git is left", || clones().is_empty());
}

/// Listens, and takes nobody: its queue has one place, which it fills itself.
const DEAF: &str = r"
import socket, sys, time
listener = socket.socket()
listener.bind(('127.0.0.1', int(sys.argv[1])))
listener.listen(0)
own = [socket.socket() for _ in range(4)]
for one in own:
    one.setblocking(False)
    one.connect_ex(listener.getsockname())
open('deaf', 'w').close()
time.sleep(1000)
";

#[test]
fn server_that_takes_no_connection_is_waited_for_so_long_and_no_longer() {
    let up = Up::with(&["--limit", "connect-time=300ms"]);
    let port = free_port();
    let yml = format!("tasks:\n  - command: exec python3 deaf.py {port}\n");
    let workspace = up.start(repository(&[(".gitpod.yml", &yml), ("deaf.py", DEAF)]).path());
    let content = up.describe(workspace.id())["content"]["path"].clone();
    let deaf = std::path::Path::new(content.as_str().unwrap()).join("deaf");
    wait_until("a server that takes nobody", || deaf.exists());
    let began = SystemTime::now();
    let answer = up.owner_request(&workspace, port, "/");
    let took = began.elapsed().unwrap();
    assert!(matches!(answer.status(), 404 | 502), "{}", answer.0);
    assert!(took.as_secs() < 8, "{took:?}, as without the limit");
    let counter = "gitpod_ws_proxy_refusals_total{reason=\"unreachable\"}";
    assert!(!measured(&up, counter).is_empty());
}
