//! What the `.gitpod.yml` of a workspace means here.

use std::io::{self, Read};
use std::path::Path;

use gitpod_lifecycle::PortSpec;
use gitpod_lifecycle::gitpod_yml::{self, GitpodYml, Ignored, Port, Problem};
use tokio::task::spawn_blocking;

use crate::private_file;

/// What a `.gitpod.yml` says of ports, and what is to be told of it.
#[derive(Debug, Default)]
pub(crate) struct Described {
    pub(crate) ports: Vec<PortSpec>,
    /// Why nothing of it is used, with place and fix.
    pub(crate) errors: Vec<String>,
    /// What has no effect, with place and reason.
    pub(crate) ignored: Vec<String>,
}

/// Ranges are told port by port, in every status.
const MAX_PORTS: usize = 1000;

/// Reads the file in `content`. That there is none is fine.
pub(crate) async fn read(content: &Path) -> Described {
    let content = content.to_owned();
    match spawn_blocking(move || read_bounded(&content)).await {
        Ok(Ok(Some(text))) => described(&text),
        Ok(Ok(None)) => Described::default(),
        Ok(Err(Unreadable(why))) => broken(why),
        Err(why) => broken(why.to_string()),
    }
}

/// Why there is a file, but no text; with a fix.
struct Unreadable(String);

/// The repository and the workspace may have put anything there.
fn read_bounded(content: &Path) -> Result<Option<String>, Unreadable> {
    let unreadable = |why: io::Error| match why.kind() {
        io::ErrorKind::NotFound => Ok(None),
        _ => Err(Unreadable(format!(
            "{why} (fix: make it a readable UTF-8 text)"
        ))),
    };
    // A link may lead to another file of the repository.
    let path = match content.join(".gitpod.yml").canonicalize() {
        Ok(path) => path,
        Err(why) => return unreadable(why),
    };
    let is_inside = content
        .canonicalize()
        .is_ok_and(|content| path.starts_with(content));
    if !is_inside {
        return Err(Unreadable(
            "it is a link to somewhere else (fix: put the file into the repository)".to_owned(),
        ));
    }
    let is_file = |path: &Path| path.metadata().is_ok_and(|file| file.is_file());
    let file = match private_file::open_ordinary(&path) {
        Ok(file) => file,
        Err(_) if path.exists() && !is_file(&path) => {
            let why = "it is not a regular file (fix: replace it by one)";
            return Err(Unreadable(why.to_owned()));
        }
        Err(why) => return unreadable(why),
    };
    let most = gitpod_yml::MAX_BYTES;
    let mut text = String::new();
    match file.take(most as u64 + 1).read_to_string(&mut text) {
        _ if text.len() > most => {}
        Ok(_) => return Ok(Some(text)),
        Err(why) => return unreadable(why),
    }
    Err(Unreadable(format!(
        "it is larger than {most} bytes (fix: make it smaller)"
    )))
}

fn broken(why: String) -> Described {
    Described {
        errors: vec![why],
        ..Described::default()
    }
}

fn described(text: &str) -> Described {
    match gitpod_yml::parse(text) {
        Ok(parsed) => Described {
            ports: parsed
                .ports
                .iter()
                .flat_map(specs)
                .take(MAX_PORTS)
                .collect(),
            ignored: parsed
                .ignored
                .iter()
                .map(ignored)
                .chain(cut(&parsed))
                .collect(),
            errors: Vec::new(),
        },
        Err(why) => Described {
            ports: Vec::new(),
            errors: why.problems.iter().map(Problem::to_string).collect(),
            ignored: why.ignored.iter().map(ignored).collect(),
        },
    }
}

fn ignored(ignored: &Ignored) -> String {
    format!(
        "line {}, column {}: {}: {}",
        ignored.line, ignored.column, ignored.key, ignored.because
    )
}

/// What happens to ports beyond the most that are told.
fn cut(parsed: &GitpodYml) -> Option<String> {
    let count: usize = parsed.ports.iter().map(|port| specs(port).count()).sum();
    (count > MAX_PORTS).then(|| {
        format!(
            "ports: of {count} ports only the first {MAX_PORTS} are as described; the others are private and speak HTTP"
        )
    })
}

fn specs(port: &Port) -> impl Iterator<Item = PortSpec> {
    (port.range.first()..=port.range.last()).map(|number| {
        let mut spec = PortSpec::new(number);
        spec.visibility = port.visibility;
        spec.protocol = port.protocol;
        spec.name = port.name.clone().unwrap_or_default();
        spec.description = port.description.clone().unwrap_or_default();
        spec
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_ranges_are_cut_and_that_is_told() {
        let described = described("ports:\n  - port: 1-2000\n    visibility: public\n");
        assert_eq!(described.ports.len(), MAX_PORTS);
        assert!(described.ignored.concat().contains("only the first 1000"));
    }

    #[test]
    fn what_is_wrong_is_told_with_place_and_fix() {
        let described = described("ports:\n  - port: 70000\n");
        let told = described.errors.concat();
        assert!(told.contains("line 2") && told.contains("fix:"), "{told}");
    }

    #[tokio::test]
    async fn only_a_regular_file_of_the_repository_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(".gitpod.yml");
        let told = async || read(dir.path()).await.errors.concat();
        assert_eq!(told().await, "");
        private_file::make_pipe(&path);
        assert!(told().await.contains("not a regular file"));
        for (target, why) in [
            ("/dev/zero", "somewhere else"),
            ("/etc/passwd", "somewhere else"),
            ("sub", "not a regular file"),
        ] {
            std::fs::remove_file(&path).unwrap();
            std::fs::create_dir_all(dir.path().join("sub")).unwrap();
            std::os::unix::fs::symlink(target, &path).unwrap();
            let told = told().await;
            assert!(told.contains(why), "{target}: {told}");
        }
        std::fs::remove_file(&path).unwrap();
        std::fs::write(dir.path().join("other.yml"), "ports:\n  - port: 3000\n").unwrap();
        std::os::unix::fs::symlink("other.yml", &path).unwrap();
        assert_eq!(read(dir.path()).await.ports.len(), 1);
        std::fs::write(&path, vec![b'#'; gitpod_yml::MAX_BYTES + 1]).unwrap();
        assert!(told().await.contains("larger than"));
    }
}
