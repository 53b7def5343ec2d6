//! `cargo xtask features`: every feature of every library is sound alone, without the others' help.

use anyhow::{Context, bail};
use serde_json::Value;

use crate::shell::{cargo, output_of, run};

pub(crate) fn check_each() -> anyhow::Result<()> {
    let metadata = output_of(cargo().args(["metadata", "--no-deps", "--format-version=1"]))
        .context("`cargo metadata` failed; run it to see why")?;
    let alone = features_of(&serde_json::from_str(&metadata)?);
    if alone.is_empty() {
        bail!(
            "no package of the workspace has a feature; was Cargo.toml read from the right folder?"
        );
    }
    for Alone { package, feature } in alone {
        let mut command = cargo();
        command.args([
            "clippy",
            "--quiet",
            "--no-deps",
            "--no-default-features",
            "-p",
            &package,
        ]);
        if let Some(feature) = &feature {
            command.args(["--features", feature]);
        }
        // What only another feature uses is dead code here, and belongs to that feature.
        run(command.args(["--", "-D", "warnings"]))?;
    }
    Ok(())
}

/// One build: a package with one feature, or with none.
#[derive(Debug, PartialEq)]
struct Alone {
    package: String,
    feature: Option<String>,
}

/// Packages without features are built by every other step already.
fn features_of(metadata: &Value) -> Vec<Alone> {
    let mut builds = Vec::new();
    for package in metadata
        .get("packages")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        let name = package
            .get("name")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let features = package
            .get("features")
            .and_then(Value::as_object)
            .into_iter()
            .flatten();
        let features: Vec<_> = features
            .map(|(feature, _)| feature)
            .filter(|f| *f != "default")
            .collect();
        if features.is_empty() {
            continue;
        }
        let alone = |feature| Alone {
            package: name.to_owned(),
            feature,
        };
        builds.push(alone(None));
        builds.extend(
            features
                .into_iter()
                .map(|feature| alone(Some(feature.clone()))),
        );
    }
    builds
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_feature_is_built_alone_and_none_as_well() {
        let metadata = json!({"packages": [
            {"name": "plain", "features": {}},
            {"name": "lib", "features": {"default": [], "kube": [], "grpc": ["kube"]}},
        ]});
        let builds: Vec<_> = features_of(&metadata)
            .into_iter()
            .map(|b| (b.package, b.feature))
            .collect();
        let lib = |feature: Option<&str>| ("lib".to_owned(), feature.map(str::to_owned));
        assert_eq!(builds, [lib(None), lib(Some("grpc")), lib(Some("kube"))]);
    }
}
