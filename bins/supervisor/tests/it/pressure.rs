//! Much data, slow readers, hung programs: nobody waits for somebody else, and memory stays what it is.

use std::fs;
use std::io::Read;
use std::process::{Child, Command, Stdio};

use crate::client::{Ssh, output, text};
use crate::support::until;

const MANY: usize = 30_000_000;

/// Memory of the supervisor, in bytes.
fn memory(ssh: &Ssh) -> usize {
    let status = fs::read_to_string(format!("/proc/{}/status", ssh.running.pid())).unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    line.split_whitespace()
        .nth(1)
        .unwrap()
        .parse::<usize>()
        .unwrap()
        * 1024
}

/// A connection that several commands share.
struct Shared<'a> {
    ssh: &'a Ssh,
    master: Child,
}

impl<'a> Shared<'a> {
    async fn open(ssh: &'a Ssh) -> Self {
        let control = format!("ControlPath={}", ssh.path("control").display());
        let master = ssh.ssh(&["-N", "-M", "-o", &control]).spawn().unwrap();
        until(|| ssh.path("control").exists()).await;
        Self { ssh, master }
    }

    fn run(&self, line: &str) -> Command {
        let control = format!("ControlPath={}", self.ssh.path("control").display());
        let mut command = self.ssh.ssh(&["-o", &control, "-o", "ControlMaster=no"]);
        command.arg(line);
        command
    }
}

impl Drop for Shared<'_> {
    fn drop(&mut self) {
        let _ = self.master.kill();
        let _ = self.master.wait();
    }
}

fn file_of(ssh: &Ssh, length: usize) -> fs::File {
    fs::write(ssh.path("input"), vec![b'x'; length]).unwrap();
    fs::File::open(ssh.path("input")).unwrap()
}

#[tokio::test]
async fn much_goes_both_ways_at_once_and_keys_are_renewed_meanwhile() {
    let ssh = Ssh::start().await;
    let mut command = ssh.ssh(&["-o", "RekeyLimit=1M"]);
    command.arg("cat").stdin(file_of(&ssh, MANY));
    let ran = output(command).await;
    assert!(ran.status.success(), "{}", text(&ran.stderr));
    assert_eq!(ran.stdout.len(), MANY);
}

#[tokio::test]
async fn slow_client_stops_the_program() {
    let ssh = Ssh::start().await;
    let mut command = ssh.ssh(&[]);
    command
        .arg("while head -c 1000000 /dev/zero; do echo >> written; done")
        .stdout(Stdio::piped());
    let mut client = command.spawn().unwrap();
    let megabytes = || fs::metadata(ssh.place.file("written")).map_or(0, |file| file.len());
    let (last, same) = (std::cell::Cell::new(0), std::cell::Cell::new(0));
    until(|| {
        let now = megabytes();
        same.set(if now == last.replace(now) && now > 0 {
            same.get() + 1
        } else {
            0
        });
        same.get() > 40
    })
    .await;
    assert!(
        megabytes() < 20,
        "{} MB were written for nobody",
        megabytes()
    );
    // It goes on where it was.
    let stopped_at = megabytes();
    let mut out = client.stdout.take().unwrap();
    let reading = tokio::task::spawn_blocking(move || {
        let mut bytes = vec![0; 20_000_000];
        out.read_exact(&mut bytes).unwrap();
    });
    reading.await.unwrap();
    until(|| megabytes() > stopped_at).await;
    client.kill().unwrap();
    client.wait().unwrap();
}

#[tokio::test]
async fn program_that_reads_nothing_holds_up_nobody_else_on_its_connection() {
    let ssh = Ssh::start().await;
    let shared = Shared::open(&ssh).await;
    let before = memory(&ssh);
    let mut hung = shared.run("echo > begun; sleep 1000");
    let zeros = fs::File::open("/dev/zero").unwrap();
    let mut hung = hung.stdin(zeros).spawn().unwrap();
    until(|| ssh.place.file("begun").exists()).await;

    let mut other = shared.run("cat");
    other.stdin(file_of(&ssh, 6_000_000)); // three windows
    assert_eq!(output(other).await.stdout.len(), 6_000_000);
    assert_eq!(
        text(&output(shared.run("echo hello")).await.stdout),
        "hello\n"
    );

    let grown = memory(&ssh).saturating_sub(before);
    assert!(grown < 15_000_000, "it grew by {grown} bytes");
    assert!(hung.try_wait().unwrap().is_none());
    hung.kill().unwrap();
    hung.wait().unwrap();
}

#[tokio::test]
async fn many_short_sessions_leave_nothing_behind() {
    let ssh = Ssh::start().await;
    let descriptors = || {
        fs::read_dir(format!("/proc/{}/fd", ssh.running.pid()))
            .unwrap()
            .count()
    };
    assert!(ssh.lets_in(&[]).await);
    until(|| descriptors() < 30).await;
    let before = descriptors();
    for _ in 0..10 {
        let runs: Vec<_> = (0..4)
            .map(|_| ssh.run("echo hello; echo error >&2"))
            .collect();
        for ran in futures_util::future::join_all(runs).await {
            assert_eq!(
                (text(&ran.stdout), text(&ran.stderr)),
                ("hello\n".to_owned(), "error\n".to_owned())
            );
        }
    }
    until(|| descriptors() <= before).await;
    let tree = format!("/proc/{0}/task/{0}/children", ssh.running.pid());
    until(|| fs::read_to_string(&tree).unwrap().is_empty()).await;
}
