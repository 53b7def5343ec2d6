//! Tools that are Rust programs themselves, built once and kept.

use std::path::PathBuf;

use anyhow::Context;

use crate::cache;
use crate::shell::{cargo, run};

/// A published program with the version that the gate was tried with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CargoTool {
    pub(crate) name: &'static str,
    pub(crate) version: &'static str,
}

pub(crate) const CARGO_DENY: CargoTool = CargoTool {
    name: "cargo-deny",
    version: "0.20.2",
};

pub(crate) const CARGO_FUZZ: CargoTool = CargoTool {
    name: "cargo-fuzz",
    version: "0.13.2",
};

impl CargoTool {
    /// Path of the program, which is built first if it is not in the cache.
    pub(crate) fn provide(self) -> anyhow::Result<PathBuf> {
        let Self { name, version } = self;
        let folder = cache::filled(&format!("{name}-{version}"), |folder| {
            eprintln!(
                "installing {name} {version} from crates.io into {}",
                folder.display()
            );
            run(cargo()
                .args([
                    "install",
                    "--quiet",
                    "--locked",
                    "--version",
                    version,
                    "--root",
                ])
                .arg(folder)
                .arg(name))
            .with_context(|| format!("cargo could not install {name}; is this machine online?"))
        })?;
        Ok(folder.join("bin").join(name))
    }
}
