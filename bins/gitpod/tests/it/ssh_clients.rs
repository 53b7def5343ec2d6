//! Clients other than OpenSSH's `ssh`, and programs that use it.

use std::ffi::OsStr;
use std::process::{Command, Output};

use crate::harness::{program, skip};
use crate::ssh_harness::{
    Login, installed_client, is_installed, pattern, succeeded, text, with_input,
};

#[test]
fn files_are_copied_by_scp_in_both_protocols_and_by_sftp() {
    let Some(login) = Login::new() else { return };
    let bytes = pattern(3_000_000);
    std::fs::write(login.path("up file"), &bytes).unwrap();
    login.run("mkdir dir");
    for (number, protocol) in ["-s", "-O"].iter().enumerate() {
        let there = format!("ws:dir/copy{number}");
        let mut scp = login.client("scp");
        scp.args([protocol, "-q", "-p"])
            .arg(login.path("up file"))
            .arg(&there);
        succeeded(&scp.output().unwrap());
        assert!(std::fs::read(login.content().join(format!("dir/copy{number}"))).unwrap() == bytes);
        let mut scp = login.client("scp");
        scp.args([protocol, "-q", "-r", "ws:dir"])
            .arg(login.path(&format!("down{number}")));
        succeeded(&scp.output().unwrap());
        let back = std::fs::read(login.path(&format!("down{number}/copy{number}")));
        assert!(back.unwrap() == bytes, "{protocol}");
    }
    let batch = "mkdir d\nput copy d/x\nrename d/x d/y\nls -l d\nsymlink y d/z\nchmod 600 d/y\nget d/z back\nrm d/y\nrm d/z\nrmdir d\n";
    std::fs::write(login.path("copy"), &bytes).unwrap();
    let mut sftp = login.client("sftp");
    sftp.current_dir(login.home.path())
        .args(["-q", "-b", "-", "ws"]);
    let output = with_input(&mut sftp, batch.into());
    let told = succeeded(&output);
    assert!(told.contains("3000000"), "{told}");
    assert!(std::fs::read(login.path("back")).unwrap() == bytes);
    assert!(!login.content().join("d").exists());
    let mut sftp = login.client("sftp");
    sftp.args(["-q", "-b", "-", "ws"]);
    let missing = with_input(&mut sftp, b"get nothing\n".to_vec());
    assert!(!missing.status.success());
    assert!(
        text(&missing.stderr).contains("not found"),
        "{}",
        text(&missing.stderr)
    );
}

#[test]
fn rsync_makes_trees_equal_in_both_directions() {
    if !is_installed("rsync") {
        return skip("rsync is not installed");
    }
    let Some(login) = Login::new() else { return };
    let tree = login.path("tree");
    for number in 0..40 {
        let dir = tree.join(format!("d{}", number % 7));
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join(format!("f {number}")), pattern(number * 5000)).unwrap();
    }
    let shell = format!("ssh -F {}", login.path("config").display());
    let rsync = |from: &str, to: &str| {
        let output = Command::new("rsync")
            .args(["-a", "--delete", "--checksum", "-e", &shell, from, to])
            .output();
        succeeded(&output.unwrap());
    };
    let local = format!("{}/", tree.display());
    rsync(&local, "ws:there/");
    std::fs::write(tree.join("d1/f 1"), "changed").unwrap();
    rsync(&local, "ws:there/");
    let back = login.path("back");
    rsync("ws:there/", &format!("{}/", back.display()));
    let same = Command::new("diff")
        .arg("-r")
        .arg(&tree)
        .arg(&back)
        .output();
    assert_eq!(succeeded(&same.unwrap()), "");
}

#[test]
fn git_clones_from_and_pushes_to_the_workspace() {
    let Some(login) = Login::with(&[], &[("hello.txt", "hello\n")]) else {
        return;
    };
    let clone = login.path("clone");
    let git = |args: &[&str]| {
        let output = Command::new("git")
            .env(
                "GIT_SSH_COMMAND",
                format!("ssh -F {}", login.path("config").display()),
            )
            .args(["-c", "user.name=t", "-c", "user.email=t@example.com"])
            .args(args)
            .output();
        succeeded(&output.unwrap())
    };
    let there = format!("ws:{}", login.content().display());
    git(&["clone", "-q", &there, clone.to_str().unwrap()]);
    assert_eq!(
        std::fs::read_to_string(clone.join("hello.txt")).unwrap(),
        "hello\n"
    );
    let dir = ["-C", clone.to_str().unwrap()];
    std::fs::write(clone.join("big"), pattern(2_000_000)).unwrap();
    git(&[&dir[..], &["checkout", "-q", "-b", "mine"]].concat());
    git(&[&dir[..], &["add", "."]].concat());
    git(&[&dir[..], &["commit", "-q", "-m", "big"]].concat());
    git(&[&dir[..], &["push", "-q", "origin", "mine"]].concat());
    let head = git(&[&dir[..], &["rev-parse", "HEAD"]].concat());
    assert_eq!(login.run("git rev-parse mine"), head);
}

/// `plink` or `pscp` with the user's key, which trusts the gateway's host key only.
struct Putty<'a> {
    login: &'a Login,
    host_key: String,
}

impl<'a> Putty<'a> {
    fn new(login: &'a Login) -> Self {
        let made = Command::new("puttygen")
            .arg(login.path("id"))
            .args(["-O", "private", "-o"])
            .arg(login.path("id.ppk"))
            .output();
        succeeded(&made.unwrap());
        let key = login.up.state_dir().join("ssh/host_ed25519");
        let told = Command::new("ssh-keygen").arg("-lf").arg(key).output();
        let told = succeeded(&told.unwrap());
        let host_key = told.split(' ').nth(1).unwrap().to_owned();
        Self { login, host_key }
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env("HOME", self.login.home.path())
            .args(["-batch", "-hostkey", &self.host_key])
            .args(["-P", &self.login.port().to_string(), "-i"])
            .arg(self.login.path("id.ppk"));
        command
    }

    fn plink(&self, args: &[&str], input: Vec<u8>) -> Output {
        let mut plink = self.command("plink");
        plink.args(["-ssh", "-l", self.login.id()]).args(args);
        with_input(&mut plink, input)
    }

    fn pscp(&self, protocol: &str, from: &OsStr, to: &OsStr) {
        let mut pscp = self.command("pscp");
        pscp.args(["-q", protocol]).arg(from).arg(to);
        succeeded(&pscp.output().unwrap());
    }
}

#[test]
fn putty_runs_commands_and_copies_files() {
    if !is_installed("plink") || !is_installed("pscp") || !is_installed("puttygen") {
        return skip("PuTTY's programs are not installed");
    }
    let Some(login) = Login::new() else { return };
    let putty = Putty::new(&login);
    let sent = pattern(1_000_000);
    let command = "cat; echo err >&2; exit 5";
    let output = putty.plink(&["-T", "127.0.0.1", command], sent.clone());
    assert!(output.stdout == sent, "{}", text(&output.stderr));
    assert_eq!(output.status.code(), Some(5));
    assert!(text(&output.stderr).contains("err"));
    let output = putty.plink(&["-t", "127.0.0.1", "tty"], Vec::new());
    let told = text(&output.stdout);
    assert!(told.contains("/dev/pts/"), "{told}");

    let (file, back) = (login.path("file"), login.path("back"));
    std::fs::write(&file, &sent).unwrap();
    for protocol in ["-sftp", "-scp"] {
        let there = format!("{}@127.0.0.1:by{protocol}", login.id());
        putty.pscp(protocol, file.as_ref(), there.as_ref());
        putty.pscp(protocol, there.as_ref(), back.as_ref());
        assert!(std::fs::read(&back).unwrap() == sent, "{protocol}");
    }
}

/// Scripts print what is wrong, and nothing else.
fn script(name: &str) {
    let Some(python) = installed_client("python") else {
        return;
    };
    let Some(login) = Login::new() else { return };
    let output = Command::new(python)
        .arg(program(name))
        .arg(login.port().to_string())
        .arg(login.id())
        .arg(login.path("id"))
        .arg(login.up.state_dir().join("ssh/known_hosts"))
        .output()
        .unwrap();
    let told = format!("{}{}", text(&output.stdout), text(&output.stderr));
    assert!(
        output.status.success() && told.is_empty(),
        "{told}\nup: {}",
        login.up.log()
    );
}

#[test]
fn paramiko_runs_commands_copies_files_and_forwards() {
    script("ssh_paramiko.py");
}

#[test]
fn asyncssh_runs_commands_sees_signals_copies_files_and_forwards() {
    script("ssh_asyncssh.py");
}

#[test]
fn ssh_audit_finds_nothing_that_we_could_avoid() {
    let Some(audit) = installed_client("ssh-audit") else {
        return;
    };
    let Some(login) = Login::new() else { return };
    let output = Command::new(audit)
        .args([
            "-n",
            "--skip-rate-test",
            "-l",
            "warn",
            "-p",
            &login.port().to_string(),
            "127.0.0.1",
        ])
        .output()
        .unwrap();
    let told = text(&output.stdout);
    let complaints: Vec<_> = told
        .lines()
        .filter(|line| line.contains("[warn]") || line.contains("[fail]"))
        // Clients of before 2022 have no other; newer ones take ML-KEM or NTRU.
        .filter(|line| !line.contains("(kex) curve25519"))
        .collect();
    assert!(complaints.is_empty(), "{told}");
}
