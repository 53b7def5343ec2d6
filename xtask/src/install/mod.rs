//! What the tests need besides Rust: found if it is there, else installed, and always said.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::shell::which;

pub(crate) mod cargo_tool;

mod apt;
mod node;
mod python;

/// Where the tests find what was installed, as environment variables for them.
#[derive(Debug, Default)]
pub(crate) struct Provided(pub(crate) Vec<(&'static str, OsString)>);

/// One thing from the system's package manager.
#[derive(Clone, Copy, Debug)]
struct Need {
    /// What the tests do with it.
    purpose: &'static str,
    packages: &'static [&'static str],
    present: fn() -> bool,
}

/// Fuzz targets are linked with a library in C++; the tests do without.
const COMPILER_OF_FUZZING: Need = Need {
    purpose: "links the fuzz targets",
    packages: &["g++"],
    present: || which("c++").is_some(),
};

/// Nothing is listed that no test uses: databases come with the tests that need them.
const NEEDS: [Need; 11] = [
    Need {
        purpose: "clones repositories",
        packages: &["git"],
        present: || which("git").is_some(),
    },
    Need {
        purpose: "signals processes and looks at them",
        packages: &["procps"],
        present: || which("kill").is_some() && which("ps").is_some(),
    },
    Need {
        purpose: "a network per workspace",
        packages: &["passt"],
        present: || which("pasta").is_some(),
    },
    Need {
        purpose: "nebula-cert, the judge of our certificates",
        packages: &["nebula"],
        present: || which("nebula-cert").is_some(),
    },
    Need {
        purpose: "an overlay network in namespaces, and a ping through it",
        packages: &["iproute2", "iputils-ping"],
        present: || which("ip").is_some() && which("ping").is_some(),
    },
    Need {
        purpose: "web server in a workspace, and JupyterLab",
        packages: &["python3", "python3-venv"],
        present: python::is_present,
    },
    Need {
        purpose: "WebSocket echo in a workspace",
        packages: &["nodejs", "npm"],
        present: || which("node").is_some() && which("npm").is_some(),
    },
    Need {
        purpose: "browser that uses JupyterLab through the proxy",
        packages: &["chromium", "chromium-driver"],
        present: || which("chromium").is_some() && which("chromedriver").is_some(),
    },
    Need {
        purpose: "ssh, scp, sftp and ssh-keyscan; the server to jump over",
        packages: &["openssh-client", "openssh-server"],
        present: || which("ssh").is_some() && std::path::Path::new("/usr/sbin/sshd").exists(),
    },
    Need {
        purpose: "PuTTY: another client of SSH",
        packages: &["putty-tools"],
        present: || which("plink").is_some() && which("pscp").is_some(),
    },
    Need {
        purpose: "copies files over SSH; sockets of all kinds",
        packages: &["rsync", "socat"],
        present: || which("rsync").is_some() && which("socat").is_some(),
    },
];

/// Makes everything available, or says what is missing and how to get it.
pub(crate) fn provide() -> anyhow::Result<Provided> {
    from_system(&NEEDS)?;
    let jupyter = python::jupyterlab()?;
    let modules = node::modules()?;
    let ssh_clients = python::ssh_clients()?;
    Ok(Provided(vec![
        ("GITPOD_TEST_JUPYTER", PathBuf::into_os_string(jupyter)),
        ("GITPOD_TEST_NODE_MODULES", modules.into_os_string()),
        ("GITPOD_TEST_SSH_CLIENTS", ssh_clients.into_os_string()),
        // A test that lacks something fails, rather than to pass for nothing.
        ("GITPOD_TEST_REQUIRE", "1".into()),
    ]))
}

/// Makes a C++ compiler available.
pub(crate) fn provide_for_fuzzing() -> anyhow::Result<()> {
    from_system(&[COMPILER_OF_FUZZING])
}

fn from_system(needs: &[Need]) -> anyhow::Result<()> {
    let mut missing = Vec::new();
    for need in needs {
        let present = (need.present)();
        let state = if present { "found" } else { "to be installed" };
        eprintln!(
            "needs {:<28} {state}: {}",
            need.packages.join(", "),
            need.purpose
        );
        if !present {
            missing.push(*need);
        }
    }
    apt::install(&missing)
}
