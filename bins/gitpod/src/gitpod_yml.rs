//! What the `.gitpod.yml` of a workspace means here.

use std::path::Path;

use gitpod_lifecycle::PortSpec;
use gitpod_lifecycle::gitpod_yml::{self, GitpodYml, Ignored, Port, Problem};

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
    let path = content.join(".gitpod.yml");
    let Ok(file) = tokio::fs::metadata(&path).await else {
        return Described::default();
    };
    if !file.is_file() {
        return broken("it is not a regular file (fix: replace it by one)".to_owned());
    }
    if file.len() > gitpod_yml::MAX_BYTES as u64 {
        return broken(format!(
            "it is larger than {} bytes (fix: make it smaller)",
            gitpod_yml::MAX_BYTES
        ));
    }
    match tokio::fs::read_to_string(&path).await {
        Ok(text) => described(&text),
        Err(why) => broken(format!("{why} (fix: make it a readable UTF-8 text)")),
    }
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
}
