//! What OpenSSH's client does through the gateway, with OpenSSH's server in the workspace.

use std::process::Stdio;
use std::time::Duration;

use gitpod_sshgw::{Heard, PrivateKey, SshLimits};
use tokio::io::{
    AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader,
};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::process::Command;

use crate::support::{ID, eventually, run, served, served_with};

#[tokio::test]
async fn a_command_has_its_output_its_errors_and_its_status() {
    let served = served().await;
    let ran = run(served.ssh(&[]).arg("echo out; echo err >&2; exit 7")).await;
    assert_eq!(
        (ran.stdout.as_str(), ran.stderr.as_str(), ran.code),
        ("out\n", "err\n", Some(7))
    );
}

#[tokio::test]
async fn input_ends_while_output_goes_on() {
    let served = served().await;
    let mut ssh = served.ssh(&[]);
    ssh.arg("cat; echo after the end").stdin(Stdio::piped());
    let mut ssh = ssh.spawn().unwrap();
    let mut input = ssh.stdin.take().unwrap();
    input.write_all(b"some input\n").await.unwrap();
    drop(input);
    let output = ssh.wait_with_output().await.unwrap();
    assert_eq!(output.stdout, b"some input\nafter the end\n");
}

#[tokio::test]
async fn a_terminal_has_the_size_and_type_of_the_client_s() {
    let served = served().await;
    let mut ssh = served.ssh(&["-tt"]);
    let ran = run(ssh
        .env("TERM", "xterm-256color")
        .arg("echo $TERM; tty; exit 3"))
    .await;
    assert!(
        ran.stdout.starts_with("xterm-256color\r\n/dev/pts/"),
        "{ran:?}"
    );
    assert_eq!(ran.code, Some(3));
}

#[tokio::test]
async fn a_shell_reads_what_is_typed() {
    let served = served().await;
    let mut ssh = served.ssh(&["-T"]);
    let mut ssh = ssh.stdin(Stdio::piped()).spawn().unwrap();
    let mut input = ssh.stdin.take().unwrap();
    input.write_all(b"echo $((6 * 7))\nexit 5\n").await.unwrap();
    let output = ssh.wait_with_output().await.unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "42\n");
    assert_eq!(output.status.code(), Some(5));
}

#[tokio::test]
async fn a_program_that_a_signal_ended_is_reported_as_such() {
    let served = served().await;
    let ran = run(served.ssh(&[]).arg("kill -TERM $$")).await;
    assert_eq!(ran.code, Some(255), "{ran:?}"); // what OpenSSH makes of exit-signal
}

#[tokio::test]
async fn nothing_of_much_output_on_both_streams_is_lost() {
    let served = served().await;
    let command = "head -c 3000000 /dev/zero; head -c 3000000 /dev/zero >&2; exit 9";
    let ran = run(served.ssh(&[]).arg(command)).await;
    let sizes = (ran.stdout.len(), ran.stderr.len(), ran.code);
    assert_eq!(sizes, (3_000_000, 3_000_000, Some(9)));
}

#[tokio::test]
async fn variables_pass_that_say_how_to_talk_and_no_others() {
    let served = served().await;
    let mut ssh = served.ssh(&["-o", "SendEnv=LANG LD_PRELOAD GIT_PROTOCOL BASH_ENV"]);
    ssh.env("LANG", "C.UTF-8").env("GIT_PROTOCOL", "version=2");
    ssh.env("LD_PRELOAD", "").env("BASH_ENV", "/nonexistent");
    let ran = run(ssh.arg("echo $LANG $GIT_PROTOCOL ${LD_PRELOAD-unset} ${BASH_ENV-unset}")).await;
    assert_eq!(ran.stdout, "C.UTF-8 version=2 unset unset\n", "{ran:?}");
}

#[tokio::test]
async fn the_workspace_is_told_where_the_client_is_and_not_by_the_client() {
    let served = served().await;
    let mut ssh = served.ssh(&["-o", "SendEnv=GITPOD_SSH_CLIENT"]);
    ssh.env("GITPOD_SSH_CLIENT", "192.0.2.1 1");
    let ran = run(ssh.arg("echo $GITPOD_SSH_CLIENT")).await;
    eventually("it was opened", || !served.sessions.heard().is_empty()).await;
    let heard = served.sessions.heard();
    let [Heard::Opened(session), ..] = &heard[..] else {
        panic!("{heard:?}")
    };
    let expected = format!("127.0.0.1 {}\n", session.peer.port());
    assert_eq!(ran.stdout, expected, "{ran:?}");
}

#[tokio::test]
async fn files_are_copied_in_both_protocols() {
    let served = served().await;
    let (source, target) = (served.path("source"), served.path("target"));
    std::fs::write(&source, vec![7; 1_000_000]).unwrap();
    for protocol in ["-s", "-O"] {
        let mut scp = Command::new("scp");
        scp.args([protocol, "-P", &served.address.port().to_string()]);
        served.common(&mut scp).arg(&source);
        scp.arg(format!("{ID}@127.0.0.1:{}", target.display()));
        let ran = run(&mut scp).await;
        assert_eq!(ran.code, Some(0), "{protocol}: {ran:?}");
        assert_eq!(std::fs::read(&target).unwrap(), vec![7; 1_000_000]);
        std::fs::remove_file(&target).unwrap();
    }
}

/// A server that answers each connection with what it was sent.
async fn echo() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut read, mut write) = stream.split();
                drop(tokio::io::copy(&mut read, &mut write).await);
                drop(write.shutdown().await);
            });
        }
    });
    port
}

/// What comes back over `stream` for `sent`, after which we say no more.
async fn echoed(mut stream: impl AsyncRead + AsyncWrite + Unpin, sent: &[u8]) -> Vec<u8> {
    let mut got = Vec::new();
    let exchange = async {
        stream.write_all(sent).await.unwrap();
        stream.shutdown().await.unwrap();
        stream.read_to_end(&mut got).await.unwrap();
    };
    let exchanged = tokio::time::timeout(Duration::from_secs(20), exchange).await;
    exchanged.expect("no answer");
    got
}

/// The line of `ssh -v` that says that something was done.
async fn says(ssh: &mut tokio::process::Child, what: &str) -> String {
    let mut lines = BufReader::new(ssh.stderr.as_mut().unwrap()).lines();
    let said = async {
        loop {
            let line = lines.next_line().await.unwrap().expect("it ended");
            if line.contains(what) {
                return line;
            }
        }
    };
    let said = tokio::time::timeout(Duration::from_secs(20), said).await;
    said.unwrap_or_else(|_| panic!("never: {what}"))
}

/// A port that nobody used a moment ago, for programs that cannot choose one.
async fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap().port()
}

#[tokio::test]
async fn a_connection_from_the_workspace_is_made_for_the_client() {
    let (served, port) = (served().await, echo().await);
    let mut ssh = served.ssh(&["-W", &format!("127.0.0.1:{port}")]);
    let mut ssh = ssh.stdin(Stdio::piped()).spawn().unwrap();
    let mut input = ssh.stdin.take().unwrap();
    input.write_all(b"to and fro").await.unwrap();
    drop(input);
    let output = ssh.wait_with_output().await.unwrap();
    assert_eq!(output.stdout, b"to and fro");
}

#[tokio::test]
async fn local_ports_and_sockets_lead_into_the_workspace() {
    let (served, port) = (served().await, echo().await);
    let socket = served.path("local.sock");
    let unix = format!("{}:127.0.0.1:{port}", socket.display());
    let local = free_port().await;
    let tcp = format!("127.0.0.1:{local}:127.0.0.1:{port}");
    let mut ssh = served.ssh(&["-v", "-N", "-L", &unix, "-L", &tcp]);
    let mut ssh = ssh.spawn().unwrap();
    says(&mut ssh, "Entering interactive session").await;
    let stream = UnixStream::connect(&socket).await.unwrap();
    assert_eq!(echoed(stream, b"over a socket").await, b"over a socket");
    let stream = TcpStream::connect(("127.0.0.1", local)).await.unwrap();
    let much = vec![3; 3_000_000];
    let (reader, writer) = stream.into_split();
    assert!(echoed(tokio::io::join(reader, writer), &much).await == much);
}

#[tokio::test]
async fn a_dynamic_port_dials_what_its_user_asks_for() {
    let (served, port) = (served().await, echo().await);
    let local = free_port().await;
    let mut ssh = served.ssh(&["-v", "-N", "-D", &format!("127.0.0.1:{local}")]);
    let mut ssh = ssh.spawn().unwrap();
    says(&mut ssh, "Entering interactive session").await;
    let mut stream = TcpStream::connect(("127.0.0.1", local)).await.unwrap();
    // SOCKS 4: connect, port, address, no user.
    let [high, low] = port.to_be_bytes();
    stream
        .write_all(&[4, 1, high, low, 127, 0, 0, 1, 0])
        .await
        .unwrap();
    let mut granted = [0; 8];
    stream.read_exact(&mut granted).await.unwrap();
    assert_eq!(granted[1], 90);
    assert_eq!(echoed(stream, b"by way of socks").await, b"by way of socks");
}

#[tokio::test]
async fn remote_ports_and_sockets_lead_to_the_client() {
    let (served, port) = (served().await, echo().await);
    let socket = served.path("remote.sock");
    let unix = format!("{}:127.0.0.1:{port}", socket.display());
    let tcp = format!("127.0.0.1:0:127.0.0.1:{port}");
    let mut ssh = served.ssh(&["-v", "-N", "-R", &unix, "-R", &tcp]);
    let mut ssh = ssh.spawn().unwrap();
    let line = says(&mut ssh, "Allocated port").await;
    let remote = line.split("Allocated port ").nth(1).unwrap();
    let remote: u16 = remote.split(' ').next().unwrap().parse().unwrap();
    let stream = TcpStream::connect(("127.0.0.1", remote)).await.unwrap();
    assert_eq!(echoed(stream, b"backwards").await, b"backwards");
    eventually("the socket is there", || socket.exists()).await;
    let stream = UnixStream::connect(&socket).await.unwrap();
    assert_eq!(echoed(stream, b"and by socket").await, b"and by socket");
}

#[tokio::test]
async fn the_client_s_agent_is_used_in_the_workspace_if_it_is_lent() {
    let served = served().await;
    let socket = served.path("agent.sock");
    let agent = Command::new("ssh-agent")
        .args(["-D", "-a"])
        .arg(&socket)
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn();
    let _agent = agent.unwrap();
    eventually("the agent listens", || socket.exists()).await;
    let mut add = Command::new("ssh-add");
    add.env("SSH_AUTH_SOCK", &socket).arg(served.path("key"));
    assert_eq!(run(&mut add).await.code, Some(0));
    let list = "ssh-add -L || true";
    let lent = run(served.ssh(&["-A"]).env("SSH_AUTH_SOCK", &socket).arg(list)).await;
    let key = served.key.public_key().to_string();
    assert!(lent.stdout.starts_with(&key), "{lent:?}");
    let kept = run(served.ssh(&["-a"]).env("SSH_AUTH_SOCK", &socket).arg(list)).await;
    assert!(!kept.stdout.contains(&key), "{kept:?}");
}

#[tokio::test]
async fn sessions_share_a_connection_and_do_not_halt_each_other() {
    let served = served().await;
    let control = format!("ControlPath={}", served.path("control").display());
    let master = served.ssh(&["-v", "-N", "-M", "-o", &control]).spawn();
    let mut master = master.unwrap();
    says(&mut master, "Entering interactive session").await;
    // Its output is read by nobody, and it reads none of its input.
    let mut halted = served.ssh(&["-o", &control]);
    halted.arg("cat /dev/zero").stdin(Stdio::piped());
    let halted = halted.spawn().unwrap();
    for number in 0..5 {
        let ran = run(served.ssh(&["-o", &control]).arg(format!("echo {number}"))).await;
        assert_eq!(ran.stdout, format!("{number}\n"), "{ran:?}");
    }
    let opened = served.sessions.heard().len();
    assert_eq!(opened, 1, "one login for all");
    drop(halted);
}

#[tokio::test]
async fn a_gateway_is_a_proxy_and_a_jump_host_too() {
    let (outer, inner) = (served().await, served().await);
    // The second gateway is reached from within a workspace of the first.
    let port = inner.address.port();
    let key = outer.path("key").display().to_string();
    let hosts = outer.path("known_hosts").display().to_string();
    let proxy = format!(
        "ProxyCommand=ssh -F /dev/null -i {key} -o UserKnownHostsFile={hosts} -p {} -W %h:%p {ID}@127.0.0.1",
        outer.address.port()
    );
    let ran = run(inner.ssh(&["-o", &proxy]).arg("echo through two gateways")).await;
    assert_eq!(ran.stdout, "through two gateways\n", "{port}: {ran:?}");
}

#[tokio::test]
async fn host_keys_can_be_listed() {
    let served = served().await;
    let mut scan = Command::new("ssh-keyscan");
    let port = served.address.port().to_string();
    let ran = run(scan.args(["-p", &port, "127.0.0.1"]).stdout(Stdio::piped())).await;
    let key = served.gateway.host_keys().next().unwrap().to_string();
    assert!(ran.stdout.contains(&key), "{ran:?}");
}

#[tokio::test]
async fn keys_of_every_kind_prove_the_gateway_to_who_asks_for_that_kind() {
    let dir = tempfile::tempdir().unwrap();
    let kinds = [("ed25519", "256"), ("ecdsa", "256"), ("rsa", "3072")];
    let keys = kinds.map(|(kind, bits)| {
        let file = dir.path().join(kind);
        let mut make = std::process::Command::new("ssh-keygen");
        make.args(["-q", "-N", "", "-t", kind, "-b", bits, "-f"]);
        assert!(make.arg(&file).status().unwrap().success());
        let text = std::fs::read_to_string(file).unwrap();
        text.parse::<PrivateKey>().unwrap()
    });
    let limits = SshLimits::default();
    let served = served_with(limits, |gateway| gateway.with_host_keys(keys)).await;
    for (algorithm, code) in [
        ("ssh-ed25519", Some(0)),
        ("ecdsa-sha2-nistp256", Some(0)),
        ("rsa-sha2-512", Some(0)),
        ("rsa-sha2-256", Some(0)),
        ("ssh-rsa", Some(255)), // SHA-1
    ] {
        let only = format!("HostKeyAlgorithms={algorithm}");
        let ran = run(served.ssh(&["-o", &only]).arg("true")).await;
        assert_eq!(ran.code, code, "{algorithm}: {ran:?}");
    }
}

#[tokio::test]
async fn the_client_s_keep_alives_are_answered() {
    let served = served().await;
    let options = ["-o", "ServerAliveInterval=1", "-o", "ServerAliveCountMax=1"];
    let ran = run(served.ssh(&options).arg("sleep 3.5; echo alive")).await;
    assert_eq!(ran.stdout, "alive\n", "{ran:?}");
}

#[tokio::test]
async fn a_client_without_keys_logs_in_with_the_owner_s_token() {
    let served = served().await;
    let mut ssh = served.ssh_as(&format!("{ID}#s3cret"), &["-o", "PubkeyAuthentication=no"]);
    let ran = run(ssh.arg("echo by name")).await;
    assert_eq!(ran.stdout, "by name\n", "{ran:?}");
}

/// Sends 8 MB to a program that says all of it twice, and compares.
async fn to_and_fro(limits: SshLimits, options: &[&str]) {
    let often = served_with(limits, |gateway| gateway).await;
    let command = "cat | tee /dev/stderr; exit 4";
    let mut ssh = often.ssh(options);
    let mut ssh = ssh.arg(command).stdin(Stdio::piped()).spawn().unwrap();
    let much: Vec<u8> = (0..8_000_000_u32).map(|n| (n >> 7) as u8).collect();
    let (mut input, sent) = (ssh.stdin.take().unwrap(), much.clone());
    let writing = tokio::spawn(async move { input.write_all(&sent).await });
    let ended = tokio::time::timeout(Duration::from_secs(40), ssh.wait_with_output()).await;
    let output = ended.expect("it goes on").unwrap();
    writing.await.unwrap().unwrap();
    assert!(
        output.stdout == much && output.stderr == much,
        "bytes differ"
    );
    assert_eq!(output.status.code(), Some(4));
}

#[tokio::test]
async fn attack_45_much_goes_to_and_fro() {
    to_and_fro(SshLimits::default(), &[]).await;
}

#[tokio::test]
async fn attack_45_the_client_exchanges_keys_anew_under_load() {
    to_and_fro(SshLimits::default(), &["-o", "RekeyLimit=1M"]).await;
}

#[tokio::test]
async fn attack_45_the_gateway_exchanges_keys_anew_under_load() {
    let mut limits = SshLimits::default();
    limits.rekey_bytes = 1 << 20;
    to_and_fro(limits, &[]).await;
}
