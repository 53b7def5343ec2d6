//! Transfers: sftp, both protocols of scp, rsync, git.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::client::{Ssh, output, text};

const BIG: usize = 50 * 1024 * 1024;

/// Enough where another program than OpenSSH's takes its time with it.
const SOME: usize = 5 * 1024 * 1024;

/// Bytes that are not all the same, and not the same in two files.
fn bytes(length: usize, seed: u32) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_le_bytes()
    };
    (0..length / 4).flat_map(|_| next()).collect()
}

/// Runs these lines of `sftp`, which ends with the first that fails.
async fn sftp(ssh: &Ssh, lines: &str) -> std::process::Output {
    let mut command = Command::new("sftp");
    command.args(ssh.options()).args(["-b", "-", "workspace"]);
    let mut child = command
        .env_remove("SSH_AUTH_SOCK")
        .current_dir(ssh.place.dir.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(lines.as_bytes())
        .unwrap();
    tokio::task::spawn_blocking(move || child.wait_with_output().unwrap())
        .await
        .unwrap()
}

#[tokio::test]
async fn sftp_carries_big_files_both_ways() {
    let ssh = Ssh::start().await;
    fs::write(ssh.path("up"), bytes(BIG, 1)).unwrap();
    fs::write(ssh.place.file("down"), bytes(BIG, 2)).unwrap();
    let ran = sftp(&ssh, "put up there\nget down here\n").await;
    assert!(ran.status.success(), "{}", text(&ran.stderr));
    assert!(fs::read(ssh.place.file("there")).unwrap() == bytes(BIG, 1));
    assert!(fs::read(ssh.path("here")).unwrap() == bytes(BIG, 2));
}

#[tokio::test]
async fn sftp_does_what_its_client_can_ask_for() {
    let ssh = Ssh::start().await;
    fs::write(ssh.path("a"), "first\n").unwrap();
    fs::write(ssh.path("b"), "first\nsecond\n").unwrap();
    let lines = "mkdir dir\ncd dir\npwd\nput a\nreput b a\nchmod 640 a\nrename a c\nsymlink c link\nln c hard\n\
        ls -la\nget link got\nrm hard\ndf\nput -p a old\nput -f a\n-rm missing\n-rmdir .\nmkdir empty\nrmdir empty\n";
    let ran = sftp(&ssh, lines).await;
    assert!(
        ran.status.success(),
        "{}{}",
        text(&ran.stdout),
        text(&ran.stderr)
    );
    let content = ssh.place.file("dir");
    assert_eq!(
        fs::read_to_string(content.join("c")).unwrap(),
        "first\nsecond\n"
    );
    assert_eq!(
        fs::read_to_string(ssh.path("got")).unwrap(),
        "first\nsecond\n"
    );
    assert_eq!(
        fs::metadata(content.join("c"))
            .unwrap()
            .permissions()
            .mode()
            & 0o7777,
        0o640
    );
    assert_eq!(fs::read_link(content.join("link")).unwrap(), Path::new("c"));
    let (ours, theirs) = (
        fs::metadata(ssh.path("a")).unwrap(),
        fs::metadata(content.join("old")).unwrap(),
    );
    let seconds = |file: &fs::Metadata| {
        file.modified()
            .unwrap()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap()
            .as_secs()
    };
    assert_eq!(seconds(&ours), seconds(&theirs));
    let said = text(&ran.stdout);
    let of_day = |line: &&str| {
        let mut fields = line.split_ascii_whitespace().rev();
        line.ends_with(" c") && fields.nth(1).is_some_and(|time| time.contains(':'))
    };
    assert!(said.lines().any(|line| of_day(&line)), "{said}");
    assert!(
        said.contains("/dir\n") && said.contains("-rw-r-----") && said.contains("lrwxrwxrwx"),
        "{said}"
    );
}

#[tokio::test]
async fn sftp_lists_directories_of_any_size_and_refuses_without_ending() {
    let ssh = Ssh::start().await;
    fs::create_dir(ssh.place.file("many")).unwrap();
    for number in 0..1234 {
        fs::write(ssh.place.file("many").join(format!("file-{number}")), "").unwrap();
    }
    let ran = sftp(
        &ssh,
        "-get /nowhere\n-ls /nowhere\n-put a /proc/x\n-cd many/file-1\n-mkdir many\nls -1 many\n",
    )
    .await;
    assert!(ran.status.success(), "{}", text(&ran.stderr));
    assert_eq!(text(&ran.stdout).matches("many/file-").count(), 1234 + 1);
    fs::write(ssh.place.file("here"), "").unwrap();
    let ran = sftp(&ssh, "rename here many\n").await;
    assert!(!ran.status.success() || ssh.place.file("many").is_dir());
}

#[tokio::test]
async fn scp_copies_in_both_protocols() {
    let ssh = Ssh::start().await;
    fs::create_dir(ssh.path("tree")).unwrap();
    fs::write(ssh.path("tree/one"), vec![b'1'; 100_000]).unwrap();
    fs::write(ssh.path("tree/two words"), "2").unwrap();
    for (protocol, there, back) in [("-s", "there", "back"), ("-O", "there-too", "back-too")] {
        let scp = |from: &str, to: &str| {
            let mut command = Command::new("scp");
            command
                .args(ssh.options())
                .args([protocol, "-r", "-p", "-q", from, to])
                .current_dir(ssh.place.dir.path());
            output(command)
        };
        let ran = scp("tree", &format!("workspace:{there}")).await;
        assert!(ran.status.success(), "{protocol}: {}", text(&ran.stderr));
        let ran = scp(&format!("workspace:{there}"), back).await;
        assert!(ran.status.success(), "{protocol}: {}", text(&ran.stderr));
        assert_eq!(fs::read(ssh.path(back).join("one")).unwrap().len(), 100_000);
        assert_eq!(
            fs::read_to_string(ssh.path(back).join("two words")).unwrap(),
            "2"
        );
    }
}

/// The command line by which other programs start `ssh`.
fn shell_words(ssh: &Ssh) -> String {
    let quoted = |word: String| format!("'{word}'");
    let words: Vec<_> = ssh.options().into_iter().map(quoted).collect();
    format!("ssh {}", words.join(" "))
}

#[tokio::test]
async fn rsync_copies_and_finds_nothing_left_to_do() {
    let ssh = Ssh::start().await;
    fs::create_dir(ssh.path("tree")).unwrap();
    fs::write(ssh.path("tree/big"), bytes(SOME, 3)).unwrap();
    let rsync = |from: &str, to: &str| {
        let mut command = Command::new("rsync");
        command
            .args([
                "-a",
                "--itemize-changes",
                "-e",
                &shell_words(&ssh),
                from,
                to,
            ])
            .current_dir(ssh.place.dir.path());
        output(command)
    };
    let ran = rsync("tree/", "workspace:copy/").await;
    assert!(ran.status.success(), "{}", text(&ran.stderr));
    assert!(fs::read(ssh.place.file("copy/big")).unwrap() == bytes(SOME, 3));
    assert_eq!(text(&rsync("tree/", "workspace:copy/").await.stdout), "");
    let ran = rsync("workspace:copy/", "back/").await;
    assert!(ran.status.success() && fs::read(ssh.path("back/big")).unwrap() == bytes(SOME, 3));
}

#[tokio::test]
async fn git_clones_and_pushes() {
    let ssh = Ssh::start().await;
    let git = |dir: &str, arguments: &[&str]| {
        let mut command = Command::new("git");
        command
            .args(["-c", "user.name=x", "-c", "user.email=x@example.com", "-C"])
            .arg(ssh.path(dir))
            .args(arguments)
            .env("GIT_SSH_COMMAND", shell_words(&ssh))
            .env("GIT_CONFIG_GLOBAL", "/dev/null");
        output(command)
    };
    assert!(
        ssh.run("git init -q --bare -b main repository.git")
            .await
            .status
            .success()
    );
    let url = "ssh://workspace".to_owned() + ssh.place.file("repository.git").to_str().unwrap();
    let ran = git(".", &["clone", "-q", &url, "clone"]).await;
    assert!(ran.status.success(), "{}", text(&ran.stderr));
    fs::write(ssh.path("clone/file"), bytes(SOME, 4)).unwrap();
    for arguments in [
        vec!["checkout", "-q", "-b", "main"],
        vec!["add", "file"],
        vec!["commit", "-qm", "x"],
        vec!["push", "-q", "origin", "main"],
    ] {
        let ran = git("clone", &arguments).await;
        assert!(ran.status.success(), "{arguments:?}: {}", text(&ran.stderr));
    }
    let ran = git(".", &["clone", "-q", &url, "again"]).await;
    assert!(ran.status.success(), "{}", text(&ran.stderr));
    assert!(fs::read(ssh.path("again/file")).unwrap() == bytes(SOME, 4));
}
