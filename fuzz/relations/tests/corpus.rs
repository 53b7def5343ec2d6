//! Each relation holds for every file of its corpus: seeds, and what fuzzing has found.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs;
use std::path::Path;

fn replay(target: &str, relation: fn(&[u8])) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../corpus");
    let files: Vec<_> = fs::read_dir(root.join(target))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert!(!files.is_empty(), "corpus of {target} is empty");
    for file in files {
        relation(&fs::read(file.path()).unwrap());
    }
}

#[test]
fn host_holds() {
    replay("host", gitpod_fuzz::host);
}

#[test]
fn host_round_trip_holds() {
    replay("host_round_trip", gitpod_fuzz::host_round_trip);
}

#[test]
fn login_name_holds() {
    replay("login_name", gitpod_fuzz::login_name);
}

#[test]
fn go_duration_holds() {
    replay("go_duration", gitpod_fuzz::go_duration);
}

#[test]
fn gitpod_yml_holds() {
    replay("gitpod_yml", gitpod_fuzz::gitpod_yml);
}

#[test]
fn certificate_holds() {
    replay("certificate", gitpod_fuzz::certificate);
}

#[test]
fn certificate_pem_holds() {
    replay("certificate_pem", gitpod_fuzz::certificate_pem);
}

#[test]
fn ssh_before_login_holds() {
    replay("ssh_before_login", gitpod_fuzz::ssh_before_login);
}

/// A target that is not replayed here would rot unseen.
#[test]
fn every_target_is_replayed_and_has_a_corpus() {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    let this = include_str!("corpus.rs");
    let mut targets = 0;
    for file in fs::read_dir(manifest.join("../fuzz_targets")).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        assert!(
            this.contains(&format!("gitpod_fuzz::{name})")),
            "{name} is not replayed"
        );
        targets += 1;
    }
    assert_eq!(
        targets,
        fs::read_dir(manifest.join("../corpus")).unwrap().count()
    );
}
