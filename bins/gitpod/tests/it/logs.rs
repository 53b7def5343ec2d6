//! What tasks print, and that they may fail without a word.

use crate::harness::{Up, repository, text, wait_until};

const YML: &str = "\
tasks:
  - name: Silent One
    command: exit 3
  - name: busy
    command: echo begun; sleep 600
";

#[test]
fn task_that_failed_without_a_word_is_told_and_followed_no_longer_than_it_lives() {
    let up = Up::new();
    let repo = repository(&[(".gitpod.yml", YML)]);
    let workspace = up.start(repo.path());
    let id = workspace.id();
    wait_until("the task has ended", || {
        let tasks = up.describe(id)["tasks"].clone();
        tasks[0]["state"] == "finished"
    });
    for args in [
        &["logs", id, "--task", "Silent One"][..],
        &["logs", id, "--task", "silent-one"],
        &["logs", "-f", id, "--task", "silent-one"],
    ] {
        let output = up.run(args);
        assert!(
            output.status.success() && output.stdout.is_empty(),
            "{args:?}"
        );
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        let expected = "Silent One: failed with exit code 3, and printed nothing";
        assert!(told.contains(expected), "{args:?}: {told}");
    }
    wait_until("the other one speaks", || {
        text(&up.run(&["logs", id])) == "begun\n"
    });
}
