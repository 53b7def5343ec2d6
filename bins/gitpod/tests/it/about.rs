//! What the program says of itself and of its machine.

use serde_json::Value;

use crate::harness::{Up, gitpod, repository, text};

#[test]
fn every_field_that_scripts_get_is_documented() {
    fn fields<'v>(value: &'v Value, found: &mut Vec<&'v str>) {
        match value {
            Value::Object(members) => members.iter().for_each(|(name, value)| {
                found.push(name);
                fields(value, found);
            }),
            Value::Array(items) => items.iter().for_each(|it| fields(it, found)),
            _ => {}
        }
    }
    let up = Up::new();
    let yml = "image: x\ntasks:\n  - command: exit 3\nports:\n  - port: 3000\n    name: a\n    description: b\n";
    let repo = repository(&[(".gitpod.yml", yml)]);
    let workspace = up.start(repo.path());
    let id = workspace.id();
    let told = [
        up.ready.clone(),
        up.json(&["list", "-o", "json"]),
        up.describe(id),
        up.json(&["ports", id, "-o", "json"]),
        up.json(&["open", id, "-o", "json"]),
        up.json(&["share", id, "--port", "3000", "-o", "json"]),
        up.json(&["unshare", id, "-o", "json"]),
        up.json(&["doctor", "-o", "json"]),
        up.json(&["version", "-o", "json"]),
        Value::Array(up.events()),
        workspace.0.clone(),
    ];
    let readme = concat!(env!("CARGO_MANIFEST_DIR"), "/../../README.md");
    let readme = std::fs::read_to_string(readme).unwrap();
    let mut found = Vec::new();
    told.iter().for_each(|it| fields(it, &mut found));
    let is_told = |name: &&&str| {
        let (code, quoted) = (format!("`{name}`"), format!("\"{name}\""));
        !readme.contains(&code) && !readme.contains(&quoted)
    };
    let missing: Vec<_> = found.iter().filter(is_told).collect();
    assert!(missing.is_empty(), "not in README.md: {missing:?}");
}

#[test]
fn doctor_says_what_is_wrong_and_what_to_do() {
    let up = Up::new();
    let all: Vec<_> = up
        .json(&["doctor", "-o", "json"])
        .as_array()
        .unwrap()
        .clone();
    assert!(
        all.iter()
            .any(|it| it["check"] == "git" && it["status"] == "ok"),
        "{all:?}"
    );
    for finding in &all {
        let is_well = finding["status"] == "ok";
        assert_eq!(finding.get("fix").is_none(), is_well, "{finding}");
    }

    let dir = tempfile::tempdir().unwrap();
    let output = gitpod()
        .args([
            "doctor",
            "-o",
            "json",
            "--ssh-listen",
            "off",
            "--listen",
            up.address(),
        ])
        .args(["--domain", "no-such-name.invalid", "--state-dir"])
        .arg(dir.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let found = text(&output);
    let found: Vec<Value> = serde_json::from_str(&found).unwrap();
    for check in ["http port", "names"] {
        let finding = found.iter().find(|it| it["check"] == check).unwrap();
        assert_eq!(finding["status"], "problem", "{finding}");
    }
}

#[test]
fn completion_manual_and_version_are_made_without_up() {
    for (shell, part) in [
        ("bash", "_gitpod()"),
        ("zsh", "#compdef gitpod"),
        ("fish", "complete -c gitpod"),
    ] {
        let output = gitpod().args(["completion", shell]).output().unwrap();
        assert!(text(&output).contains(part), "{shell}");
        assert!(
            !text(&output).contains("supervisor"),
            "{shell}: it is hidden"
        );
    }
    let dir = tempfile::tempdir().unwrap();
    let output = gitpod()
        .args(["man", "--dir"])
        .arg(dir.path())
        .output()
        .unwrap();
    assert!(output.status.success());
    let page = std::fs::read_to_string(dir.path().join("gitpod-share.1")).unwrap();
    assert!(page.contains("Make a link by which others"), "{page}");
    assert!(page.contains(".SH EXAMPLES\n"), "{page}");
    let none = tempfile::tempdir().unwrap();
    let output = gitpod()
        .args(["version", "-o", "json", "--state-dir"])
        .arg(none.path())
        .output();
    let told: Value = serde_json::from_slice(&output.unwrap().stdout).unwrap();
    assert_eq!(told["version"], env!("CARGO_PKG_VERSION"));
    assert!(told["up"].is_null());
}

#[test]
fn tables_in_a_pipe_have_no_colours_and_whole_lines() {
    let up = Up::new();
    let repo = repository(&[]);
    let workspace = up.start(repo.path());
    let listed = text(&up.run(&["list"]));
    assert!(!listed.contains('\x1b'), "{listed:?}");
    assert!(listed.contains(repo.path().to_str().unwrap()), "{listed}");
    assert!(
        listed.contains(workspace.0["url"].as_str().unwrap()),
        "{listed}"
    );
}
