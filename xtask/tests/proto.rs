//! Generated code is what its `.proto` files make.
//!
//! `BLESS=1 cargo test -p xtask --test proto` writes it anew.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// One directory of generated code.
struct Generated {
    /// What it is made of, below `proto/`.
    proto: &'static str,
    /// Where it is kept.
    dir: &'static str,
    /// Messages that carry a token or secret: their `Debug` is written by hand.
    secret: &'static [&'static str],
}

/// All of the repository.
const ALL: [Generated; 3] = [
    Generated {
        proto: "gitpod/local/ssh/v1/ssh.proto",
        dir: "bins/gitpod/src/ssh/generated",
        secret: &[],
    },
    Generated {
        proto: "gitpod/local/v1/workspaces.proto",
        dir: "bins/gitpod/src/generated",
        secret: &[".gitpod.local.v1.Workspace"],
    },
    Generated {
        proto: "wsman/core.proto",
        dir: "gitpod-lifecycle/src/grpc/generated",
        secret: &[
            ".contentservice.GitConfig",
            ".wsman.EnvironmentVariable",
            ".wsman.StartWorkspaceResponse",
            ".wsman.WorkspaceAuthentication",
        ],
    },
];

#[test]
fn committed_code_is_what_the_protos_make() {
    let bless = std::env::var_os("BLESS").is_some();
    for generated in &ALL {
        let dir = root().join(generated.dir);
        let made = make(generated);
        if bless {
            write(&dir, &made);
        }
        let kept = read(&dir);
        let (made_files, kept_files): (Vec<_>, Vec<_>) =
            (made.keys().collect(), kept.keys().collect());
        assert_eq!(made_files, kept_files, "files of {}", generated.dir);
        for (name, text) in &made {
            let same = kept.get(name) == Some(text);
            assert!(same, "{}/{name} is out of date: {HOW}", generated.dir);
        }
    }
}

const HOW: &str = "run BLESS=1 cargo test -p xtask --test proto";

#[test]
fn every_proto_is_known_here() {
    let mut roots: Vec<String> = Vec::new();
    let descriptors = ALL.iter().map(|generated| compile(generated.proto));
    for file in descriptors.flat_map(|set| set.file) {
        roots.push(file.name().to_owned());
    }
    for path in protos_below(&root().join("proto")) {
        let name = path.strip_prefix(root().join("proto")).unwrap();
        let known = roots.iter().any(|root| Path::new(root) == name);
        assert!(known, "{} is in no row of ALL", name.display());
    }
}

fn compile(proto: &str) -> prost_types::FileDescriptorSet {
    protox::compile([proto], [root().join("proto")]).unwrap()
}

/// File name → what it must say.
fn make(generated: &Generated) -> BTreeMap<String, String> {
    let out = tempfile::tempdir().unwrap();
    tonic_prost_build::configure()
        .out_dir(out.path())
        .build_transport(false)
        .skip_debug(generated.secret)
        .compile_fds(compile(generated.proto))
        .unwrap();
    read(out.path())
}

/// Every `.rs` file of `dir` but `mod.rs`, which is written by hand.
fn read(dir: &Path) -> BTreeMap<String, String> {
    let files = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let rust = files.filter(|path| path.extension().is_some_and(|end| end == "rs"));
    rust.map(|path| {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        (name, fs::read_to_string(&path).unwrap())
    })
    .filter(|(name, _)| name != "mod.rs")
    .collect()
}

fn write(dir: &Path, files: &BTreeMap<String, String>) {
    fs::create_dir_all(dir).unwrap();
    for stale in read(dir).keys().filter(|name| !files.contains_key(*name)) {
        fs::remove_file(dir.join(stale)).unwrap();
    }
    for (name, text) in files {
        fs::write(dir.join(name), text).unwrap();
    }
}

fn protos_below(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| match path.is_dir() {
            true => protos_below(&path),
            false => vec![path],
        })
        .filter(|path| path.extension().is_some_and(|end| end == "proto"))
        .collect()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}
