//! What keeps a workspace, and what does not: ten workspaces with one connection each, and a
//! limit of a few seconds.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{self, Message, WebSocket};

use crate::harness::{Up, Workspace, free_port, program, repository, wait_until};

/// Of all workspaces here. Long enough for a busy machine to do something in time.
const LIMIT: &str = "6s";
/// Between two things that happen on a connection.
const BEAT: Duration = Duration::from_millis(400);

/// A workspace that serves streams, and what is done with it.
struct Stand<'a> {
    up: &'a Up,
    workspace: Workspace,
    port: u16,
    /// For everybody, and nothing listens there.
    closed: u16,
    end: &'a AtomicBool,
}

impl<'a> Stand<'a> {
    fn new(up: &'a Up, end: &'a AtomicBool) -> Self {
        let (port, closed) = (free_port(), free_port());
        let script = program("streams.py").canonicalize().unwrap();
        let yml = format!(
            "tasks:\n  - command: exec python3 {} {port}\nports:\n  - port: {port}\n  - port: {closed}\n    visibility: public\n",
            script.display()
        );
        let repo = repository(&[(".gitpod.yml", &yml)]);
        // Nor does a request bring it back that comes too late.
        let args = ["start", repo.path().to_str().unwrap(), "--wake", "never"];
        let workspace = Workspace(up.json(&[&args[..], &["-o", "json"]].concat()));
        up.request_until(&workspace, port, |answer| answer.status() == 200);
        Self {
            up,
            workspace,
            port,
            closed,
            end,
        }
    }

    fn phase(&self) -> String {
        let phase = self.up.describe(self.workspace.id())["phase"].clone();
        phase.as_str().unwrap().to_owned()
    }

    /// Whether to go on: the test is not over, nor is the workspace.
    fn goes_on(&self) -> bool {
        std::thread::sleep(BEAT);
        !self.end.load(Ordering::SeqCst)
    }

    /// A request whose answer is left to come.
    fn begin(&self, path: &str, fields: &str) -> TcpStream {
        self.send("GET", path, fields)
    }

    fn send(&self, method: &str, path: &str, fields: &str) -> TcpStream {
        let (host, token) = (self.workspace.host(self.port), self.workspace.token());
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: {host}\r\nx-gitpod-owner-token: {token}\r\n{fields}\r\n"
        );
        let mut stream = TcpStream::connect(self.up.address()).unwrap();
        stream.set_read_timeout(Some(BEAT)).unwrap();
        stream.write_all(head.as_bytes()).unwrap();
        stream
    }

    fn socket(&self, path: &str) -> WebSocket<TcpStream> {
        let url = format!("ws://{}{path}", self.workspace.host(self.port));
        let mut request = url.into_client_request().unwrap();
        let token = self.workspace.token().parse().unwrap();
        request.headers_mut().insert("x-gitpod-owner-token", token);
        let stream = TcpStream::connect(self.up.address()).unwrap();
        let (socket, _) = tungstenite::client(request, stream).unwrap();
        socket.get_ref().set_read_timeout(Some(BEAT)).unwrap();
        socket
    }

    /// Reads what comes until the end of the stream, or of the test.
    fn read_on(&self, mut stream: TcpStream) {
        let mut bytes = [0; 4096];
        while !self.end.load(Ordering::SeqCst) {
            match stream.read(&mut bytes) {
                Err(why) if matches!(why.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Ok(1..) => {}
                Ok(0) | Err(_) => return,
            }
        }
    }
}

/// What is done with a workspace until the test is over.
type Doing = fn(&Stand<'_>);

/// Each of these is somebody who uses the workspace.
const USES: [(&str, Doing); 5] = [
    ("requests", |stand| {
        while stand.goes_on() {
            stand.up.owner_request(&stand.workspace, stand.port, "/");
        }
    }),
    ("messages in a WebSocket", |stand| {
        let mut socket = stand.socket("/socket");
        while stand.goes_on() {
            socket.send(Message::text("hello")).unwrap();
            while socket.read().is_ok() {}
        }
    }),
    ("a download", |stand| {
        stand.read_on(stand.begin("/download", ""));
    }),
    ("a download that a page begins", |stand| {
        let by_itself = "sec-fetch-mode: navigate\r\nsec-fetch-site: same-origin\r\n";
        stand.read_on(stand.begin("/download", by_itself));
    }),
    ("an upload", |stand| {
        let mut stream = stand.begin("/", "content-length: 100000000\r\n");
        while stand.goes_on() {
            stream.write_all(&[0; 1000]).unwrap();
        }
    }),
];

/// None of these is: programs and browsers do it by themselves.
const NO_USES: [(&str, Doing); 9] = [
    ("a socket in which the server pings", |stand| {
        let mut socket = stand.socket("/pings");
        while stand.goes_on() {
            while socket.read().is_ok() {} // which answers them
        }
    }),
    ("a socket in which the client pings", |stand| {
        let mut socket = stand.socket("/socket");
        while stand.goes_on() && socket.send(Message::Ping("beat".into())).is_ok() {
            while socket.read().is_ok() {}
        }
    }),
    ("heartbeats of an event stream", |stand| {
        stand.read_on(stand.begin("/events", ""));
    }),
    ("a connection on which nothing happens", |stand| {
        stand.read_on(stand.begin("/", ""));
    }),
    ("requests ahead of time", |stand| {
        while stand.goes_on() && stand.phase() == "running" {
            let stream = stand.begin("/", "sec-purpose: prefetch\r\nconnection: close\r\n");
            stand.read_on(stream);
        }
    }),
    ("health checks", |stand| {
        while stand.goes_on() && stand.phase() == "running" {
            let stream = stand.begin("/", "user-agent: kube-probe/1.33\r\nconnection: close\r\n");
            stand.read_on(stream);
        }
    }),
    ("looking at it from outside", |stand| {
        while stand.goes_on() && stand.phase() == "running" {
            let (host, token) = (stand.workspace.ide_host(), stand.workspace.token());
            let token = [("x-gitpod-owner-token", token)];
            for path in ["/_supervisor", "/%5fsupervisor"] {
                let path = format!("{path}/v1/status/ports");
                stand.up.request(&host, &path, &token);
            }
        }
    }),
    ("guests who find nobody", |stand| {
        while stand.goes_on() && stand.phase() == "running" {
            let answer = stand
                .up
                .request(&stand.workspace.host(stand.closed), "/", &[]);
            assert!([404, 503].contains(&answer.status()), "{}", answer.0);
        }
    }),
    ("pages that ask what they may ask for", |stand| {
        while stand.goes_on() && stand.phase() == "running" {
            let fields = "access-control-request-method: POST\r\nconnection: close\r\n";
            stand.read_on(stand.send("OPTIONS", "/", fields));
        }
    }),
];

#[test]
fn attack_34_only_use_keeps_a_workspace() {
    let up = Up::with(&["--timeout", LIMIT]);
    let end = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _over = Over(&end);
        let begin = |(name, doing): &(&'static str, Doing)| {
            let (name, doing) = (*name, *doing);
            let stand = Stand::new(&up, &end);
            let id = stand.workspace.id().to_owned();
            scope.spawn(move || doing(&stand));
            (name, id)
        };
        let used: Vec<_> = USES.iter().map(begin).collect();
        let unused: Vec<_> = NO_USES.iter().map(begin).collect();
        let phase = |id: &str| up.describe(id)["phase"].clone();
        for (name, id) in &unused {
            wait_until(&format!("{name} keeps it"), || phase(id) == "stopped");
            let conditions = up.describe(id)["conditions"].to_string();
            let is_told = conditions.contains("inactivity") && conditions.contains("limit is 6s");
            assert!(is_told, "{name}: {conditions}");
        }
        // All of these began before the others, and are older than their limit.
        for (name, id) in &used {
            let told = up.describe(id);
            assert_eq!(told["phase"], "running", "{name}");
            let why = told["alive_because"].as_str().unwrap();
            assert!(why.starts_with("it was last used "), "{name}: {why}");
            let last = time(&told["last_activity"]);
            let left = time(&told["stops_at"]).duration_since(last);
            assert_eq!(left, jiff::SignedDuration::from_secs(6), "{name}: {told}");
        }
    });
}

/// Ends what is done, also when the test fails.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

fn time(text: &serde_json::Value) -> jiff::Timestamp {
    text.as_str().unwrap().parse().unwrap()
}

#[test]
fn limit_of_two_seconds_spares_who_is_used_all_the_time_and_nobody_else() {
    let up = Up::with(&["--timeout", "2s"]);
    let end = AtomicBool::new(false);
    let stand = Stand::new(&up, &end);
    let begin = Instant::now();
    // Longer than what is written down of uses is apart.
    while begin.elapsed() < Duration::from_secs(9) {
        let answer = up.owner_request(&stand.workspace, stand.port, "/");
        assert_eq!(answer.status(), 200, "after {:?}", begin.elapsed());
        std::thread::sleep(BEAT);
    }
    wait_until("it stops", || stand.phase() == "stopped");
}

#[test]
fn time_in_which_up_did_not_run_does_not_count() {
    let up = Up::with(&["--timeout", LIMIT]);
    let end = AtomicBool::new(false);
    let stand = Stand::new(&up, &end);
    up.owner_request(&stand.workspace, stand.port, "/");
    std::thread::sleep(BEAT * 4); // until it is told, which is not to count as of later
    up.signal("STOP"); // as when a laptop is closed
    std::thread::sleep(Duration::from_secs(9));
    up.signal("CONT");
    let told = up.describe(stand.workspace.id());
    assert_eq!(told["phase"], "running", "{told}");
    let why = told["alive_because"].as_str().unwrap();
    assert!(why.contains(" do not count"), "{why}");
    wait_until("it stops", || stand.phase() == "stopped");
}
