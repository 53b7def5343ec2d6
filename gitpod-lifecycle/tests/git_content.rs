//! Content by `git clone`, from real repositories.
#![cfg(feature = "process")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    dead_code
)]

mod support;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

use gitpod_lifecycle::process::GitContent;
use gitpod_lifecycle::{
    ContentError, ContentSource, ContentStore, GitSource, Prepared, Progress, Spec,
};
use support::*;

struct Repository {
    dir: PathBuf,
}

impl Repository {
    /// With two commits on `main` and one more on `topic`.
    fn new(local: &Local) -> Self {
        let dir = local.dir.path().join("source repository");
        std::fs::create_dir(&dir).unwrap();
        let new = Self { dir };
        new.git(&["init", "-q", "-b", "main"]);
        new.commit("first");
        new.commit("second");
        new.git(&["checkout", "-q", "-b", "topic"]);
        new.commit("third");
        new.git(&["checkout", "-q", "main"]);
        new
    }

    fn commit(&self, text: &str) {
        std::fs::write(self.dir.join("file"), text).unwrap();
        self.git(&["add", "."]);
        self.git(&[
            "-c",
            "user.name=n",
            "-c",
            "user.email=e@x",
            "commit",
            "-q",
            "-m",
            text,
        ]);
    }

    fn git(&self, args: &[&str]) -> String {
        git(&self.dir, args)
    }

    fn source(&self) -> GitSource {
        GitSource::new(self.dir.to_str().unwrap())
    }
}

fn git(dir: &Path, args: &[&str]) -> String {
    let output = Command::new("git")
        .arg("-C")
        .arg(dir)
        .args(args)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{args:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn wanted(source: GitSource) -> Spec {
    let mut spec = spec("i1", "");
    spec.content = ContentSource::Git(source);
    spec
}

async fn prepare(local: &Local, source: GitSource) -> Result<Prepared, ContentError> {
    GitContent::new(local.layout())
        .prepare(&wanted(source), &Progress::to_nobody())
        .await
}

#[tokio::test]
async fn clone_has_what_is_committed_and_tells_its_progress() {
    let local = Local::new();
    let repository = Repository::new(&local);
    std::fs::write(repository.dir.join("file"), "not committed").unwrap();
    let steps = Arc::new(Mutex::new(Vec::new()));
    let progress = Progress::to({
        let steps = Arc::clone(&steps);
        move |step| steps.lock().unwrap().push(step)
    });
    let content = GitContent::new(local.layout());
    let prepared = content
        .prepare(&wanted(repository.source()), &progress)
        .await
        .unwrap();
    assert_eq!(
        std::fs::read_to_string(local.content().join("file")).unwrap(),
        "second"
    );
    assert!(prepared.metrics.unwrap().git.unwrap().size > 0);
    let steps = steps.lock().unwrap();
    assert!(
        steps
            .iter()
            .any(|step| step.step == "Receiving objects" && step.percent == Some(100)),
        "{steps:?}"
    );
}

#[tokio::test]
async fn branch_tag_commit_and_depth_are_followed() {
    for (revision, depth, expected, commits) in [
        (None, None, "second", "2"),
        (Some("topic".to_owned()), None, "third", "3"),
        (Some("topic".to_owned()), Some(1), "third", "1"),
        (Some("v1".to_owned()), None, "first", "1"),
        (Some("COMMIT".to_owned()), None, "first", "1"),
    ] {
        let local = Local::new();
        let repository = Repository::new(&local);
        let first = repository.git(&["rev-list", "--max-parents=0", "HEAD"]);
        repository.git(&["tag", "v1", &first]);
        let mut source = repository.source();
        source.branch = revision.clone().map(|name| {
            if name == "COMMIT" {
                first.clone()
            } else {
                name
            }
        });
        source.depth = depth.and_then(std::num::NonZeroU32::new);
        prepare(&local, source).await.unwrap();
        let content = local.content();
        assert_eq!(
            std::fs::read_to_string(content.join("file")).unwrap(),
            expected,
            "{revision:?}"
        );
        assert_eq!(
            git(&content, &["rev-list", "--count", "HEAD"]),
            commits,
            "{revision:?}"
        );
    }
}

#[tokio::test]
async fn clone_does_not_need_its_source_any_more() {
    let local = Local::new();
    let repository = Repository::new(&local);
    // A repository that borrows its objects from another one.
    let borrower = local.dir.path().join("borrower");
    repository.git(&["clone", "-q", "--shared", ".", borrower.to_str().unwrap()]);
    prepare(&local, GitSource::new(borrower.to_str().unwrap()))
        .await
        .unwrap();
    std::fs::remove_dir_all(&repository.dir).unwrap();
    std::fs::remove_dir_all(&borrower).unwrap();
    git(&local.content(), &["fsck", "--full"]);
}

#[tokio::test]
async fn content_is_cloned_once_and_kept() {
    let local = Local::new();
    let repository = Repository::new(&local);
    prepare(&local, repository.source()).await.unwrap();
    std::fs::write(local.content().join("file"), "my work").unwrap();
    std::fs::remove_dir_all(&repository.dir).unwrap();
    let again = prepare(&local, repository.source()).await.unwrap();
    assert_eq!(again, Prepared::default());
    assert_eq!(
        std::fs::read_to_string(local.content().join("file")).unwrap(),
        "my work"
    );
}

#[tokio::test]
async fn half_finished_clone_is_redone() {
    let local = Local::new();
    let repository = Repository::new(&local);
    let half = local.content().with_extension("new");
    std::fs::create_dir_all(half.join(".git")).unwrap();
    std::fs::write(half.join("rubbish"), "").unwrap();
    prepare(&local, repository.source()).await.unwrap();
    assert!(!local.content().join("rubbish").exists());
    assert!(!half.exists());
}

#[tokio::test]
async fn what_is_missing_is_named_with_what_to_do() {
    let local = Local::new();
    let repository = Repository::new(&local);
    let mut no_branch = repository.source();
    no_branch.branch = Some("nope".to_owned());
    let mut no_commit = repository.source();
    no_commit.branch = Some("0123456789abcdef0123456789abcdef01234567".to_owned());
    let empty = local.dir.path().join("no repository");
    std::fs::create_dir(&empty).unwrap();
    for (source, expected) in [
        (no_branch, "no branch or tag `nope`"),
        (no_commit, "no commit 0123456789"),
        (
            GitSource::new("/no/such/repository"),
            "no git repository at /no/such/repository",
        ),
        (
            GitSource::new(empty.to_str().unwrap()),
            "no git repository at",
        ),
        (
            GitSource::new("http://127.0.0.1:1/x"),
            "git cannot clone http://127.0.0.1:1/x",
        ),
    ] {
        let why = prepare(&local, source).await.unwrap_err().whole_text();
        assert!(why.contains(expected), "{why}");
        assert!(!local.content().exists());
        assert!(!local.content().with_extension("new").exists());
    }
}

#[tokio::test]
async fn credentials_of_a_url_are_seen_by_its_host_alone() {
    let local = Local::new();
    let repository = Repository::new(&local);
    repository.git(&["update-server-info"]);
    let host = Host::of(repository.dir.join(".git"), "Basic bWU6czNjcjN0X3BhcnQ="); // me:s3cr3t_part
    let url = |user_info: &str| format!("http://{user_info}{}/x", host.address);

    let refused = prepare(&local, GitSource::new(url("me:wrong@"))).await;
    let text = refused.unwrap_err().whole_text();
    assert!(text.contains("credential"), "{text}");
    assert!(!text.contains("wrong"), "{text}");

    let given = url("me:s3cr3t_part@");
    prepare(&local, GitSource::new(&given)).await.unwrap();
    let content = local
        .layout()
        .content(&wanted(GitSource::new("/x")).workspace);
    let content = content.unwrap();
    assert_eq!(
        std::fs::read_to_string(content.join("file")).unwrap(),
        "second"
    );
    let origin = git(&content, &["remote", "get-url", "origin"]);
    assert_eq!(origin.trim(), given, "so that one can push from there");
    assert_eq!(host.seen_in_arguments(), Vec::<String>::new());
}

/// Serves a repository over HTTP to those who know the password, and looks at what
/// everybody on this machine can see of who asks.
struct Host {
    address: std::net::SocketAddr,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Host {
    fn of(repository: PathBuf, authorization: &'static str) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let seen: Arc<Mutex<Vec<String>>> = Arc::default();
        let notes = Arc::clone(&seen);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let found = arguments_of_all().filter(|line| line.contains("s3cr3t_part"));
                notes.lock().unwrap().extend(found);
                let _ = answer(stream, &repository, authorization);
            }
        });
        Self { address, seen }
    }

    fn seen_in_arguments(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

fn answer(
    mut stream: std::net::TcpStream,
    repository: &Path,
    authorization: &str,
) -> std::io::Result<()> {
    use std::io::{BufRead, BufReader, Write};
    let head: Vec<String> = BufReader::new(&stream)
        .lines()
        .map_while(|line| line.ok().filter(|line| !line.is_empty()))
        .collect();
    let path = head
        .first()
        .and_then(|line| line.split(' ').nth(1))
        .unwrap_or_default();
    let path = path.split('?').next().unwrap_or_default();
    let known = head.iter().any(|line| line.ends_with(authorization));
    let (status, body) = match std::fs::read(repository.join(path.trim_start_matches("/x/"))) {
        _ if !known => (
            "401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"x\"",
            Vec::new(),
        ),
        Ok(body) => ("200 OK", body),
        Err(_) => ("404 Not Found", Vec::new()),
    };
    write!(
        stream,
        "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    )?;
    stream.write_all(&body)
}

fn arguments_of_all() -> impl Iterator<Item = String> {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    processes.filter_map(|process| {
        let arguments = std::fs::read(process.path().join("cmdline")).ok()?;
        Some(String::from_utf8_lossy(&arguments).replace('\0', " "))
    })
}

#[tokio::test]
async fn given_up_clone_leaves_no_process_and_no_file() {
    let local = Local::new();
    // A server that accepts and never answers.
    let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!(
        "http://{}/marked-by-{}",
        server.local_addr().unwrap(),
        std::process::id()
    );
    let content = GitContent::new(local.layout());
    let spec = wanted(GitSource::new(&*url));
    let clone = tokio::spawn(async move { content.prepare(&spec, &Progress::to_nobody()).await });
    eventually(|| (count_processes(&url) >= 2).then_some(())).await; // git, and its helper for http
    clone.abort();
    assert!(clone.await.unwrap_err().is_cancelled());
    eventually(|| (count_processes(&url) == 0).then_some(())).await;
    let workspace = local.layout().workspace(&WORKSPACE.into()).unwrap();
    eventually(|| is_empty(&workspace).then_some(())).await;
}

fn is_empty(dir: &Path) -> bool {
    std::fs::read_dir(dir).unwrap().count() == 0
}

/// What an `up` that was killed by force leaves: its git, which nobody has an eye on.
async fn outlived_clone(local: &Local) -> String {
    let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!(
        "http://{}/outlived-{}",
        server.local_addr().unwrap(),
        std::process::id()
    );
    std::mem::forget(server); // accepts, and never answers
    let content = GitContent::new(local.layout());
    let spec = wanted(GitSource::new(&*url));
    // A future that is neither polled nor dropped is what is left of a killed process.
    let mut clone = Box::pin(async move {
        let _ = content.prepare(&spec, &Progress::to_nobody()).await;
    });
    let started = eventually(|| (count_processes(&url) >= 2).then_some(()));
    tokio::select! {
        () = &mut clone => panic!("nobody has answered it"),
        () = started => {}
    }
    std::mem::forget(clone);
    url
}

#[tokio::test]
async fn clone_that_outlived_its_process_is_ended_before_the_next_one() {
    let local = Local::new();
    let repository = Repository::new(&local);
    let url = outlived_clone(&local).await;
    prepare(&local, repository.source()).await.unwrap();
    assert_eq!(count_processes(&url), 0);
    git(&local.content(), &["fsck", "--full"]);
}

#[tokio::test]
async fn clone_that_outlived_its_process_ends_with_its_workspace() {
    let local = Local::new();
    let url = outlived_clone(&local).await;
    let content = GitContent::new(local.layout());
    content.finish(&spec("i1", "")).await.unwrap();
    assert_eq!(count_processes(&url), 0, "nothing of a stopped one goes on");
    let url = outlived_clone(&local).await;
    content.delete(&WORKSPACE.into()).await.unwrap();
    assert_eq!(count_processes(&url), 0);
    assert!(!local.content().parent().unwrap().exists());
}

#[tokio::test]
async fn what_a_killed_process_was_cloning_is_removed_by_the_next_one() {
    let local = Local::new();
    let url = outlived_clone(&local).await;
    let workspace = local.layout().workspace(&WORKSPACE.into()).unwrap();
    let kept = workspace.join("logs");
    std::fs::create_dir(&kept).unwrap();
    assert!(workspace.join("content.new").exists());
    GitContent::new(local.layout())
        .remove_unfinished()
        .await
        .unwrap();
    assert_eq!(count_processes(&url), 0);
    assert!(!workspace.join("content.new").exists() && kept.exists());
}

fn count_processes(mark: &str) -> usize {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let lines = processes.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    lines
        .filter(|line| String::from_utf8_lossy(line).contains(mark))
        .count()
}

#[tokio::test]
async fn deleting_removes_even_what_is_read_only() {
    let local = Local::new();
    let repository = Repository::new(&local);
    prepare(&local, repository.source()).await.unwrap();
    let cache = local.content().join("cache");
    std::fs::create_dir(&cache).unwrap();
    std::fs::write(cache.join("module"), "").unwrap();
    std::fs::set_permissions(&cache, std::fs::Permissions::from_mode(0o500)).unwrap();
    let content = GitContent::new(local.layout());
    for _ in 0..2 {
        content.delete(&WORKSPACE.into()).await.unwrap(); // again: nothing there
        assert!(!local.content().parent().unwrap().exists());
    }
}
