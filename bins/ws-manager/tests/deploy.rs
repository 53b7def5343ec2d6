//! What `deploy/` offers is what the programs take.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use support::testing::{Authority, binary, cannot_run};

fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy")
}

fn names(folder: &str, end: &str) -> Vec<String> {
    let files = std::fs::read_dir(deploy().join(folder)).unwrap();
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names
        .map(|name| name.strip_suffix(end).unwrap().to_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn configurations_are_taken_by_their_programs_without_a_warning() {
    let dir = tempfile::tempdir().unwrap();
    let _ = Authority::new().write(dir.path(), "tls", "ws.example.com");
    let programs = names("config", ".json");
    assert_eq!(programs.len(), 5);
    for program in programs {
        let text = std::fs::read_to_string(deploy().join("config").join(format!("{program}.json")))
            .unwrap();
        let file = dir.path().join("config.json");
        // Certificates are the one thing that has to be there.
        let here = text.replace("/etc/gitpod/tls", dir.path().join("tls").to_str().unwrap());
        std::fs::write(&file, here).unwrap();
        let output = Command::new(binary(&program))
            .args(["check", "-j"])
            .arg(&file)
            .output()
            .unwrap();
        let log = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{program}: {log}");
        for line in log.lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            // The reference requires two objects that mean nothing here yet.
            let required = ["proxy.blobServer", "proxy.workspacePodConfig"];
            let known = required.contains(&line["key"].as_str().unwrap_or_default());
            assert!(known, "{program}: {line}");
        }
    }
}

#[test]
fn units_are_good_by_the_judgement_of_systemd() {
    if Command::new("systemd-analyze")
        .arg("--version")
        .output()
        .is_err()
    {
        return cannot_run("systemd-analyze is missing; install systemd, and run this test again");
    }
    let dir = tempfile::tempdir().unwrap();
    for unit in names("systemd", ".service") {
        let text =
            std::fs::read_to_string(deploy().join("systemd").join(format!("{unit}.service")))
                .unwrap();
        let start = text
            .lines()
            .find(|line| line.starts_with("ExecStart="))
            .unwrap();
        assert!(
            start.contains("/usr/local/bin/") && !text.contains("\n\n\n"),
            "{unit}"
        );
        let file = dir.path().join(format!("{unit}.service"));
        // The programs need not be installed to be judged.
        let program = binary("ws-manager");
        let program = start.replace(
            start.split(' ').next().unwrap(),
            &format!("ExecStart={}", program.display()),
        );
        std::fs::write(&file, text.replace(start, &program)).unwrap();
        let output = Command::new("systemd-analyze")
            .args([
                "verify",
                "--man=no",
                "--generators=no",
                "--recursive-errors=no",
            ])
            .arg(&file)
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        let about: Vec<_> = told.lines().filter(|line| line.contains(&unit)).collect();
        assert!(
            output.status.success() && about.is_empty(),
            "{unit}: {told}"
        );
    }
}
