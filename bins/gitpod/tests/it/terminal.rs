//! What commands show on a terminal that is narrow, and what scripts get.

use std::process::{Command, Stdio};

use crate::harness::{Up, repository, text};

/// What `gitpod ARGS` shows on a terminal of so many columns.
fn shown(up: &Up, columns: usize, args: &str) -> String {
    let gitpod = env!("CARGO_BIN_EXE_gitpod");
    let line = format!("stty cols {columns} rows 50 && exec {gitpod} {args}");
    let output = Command::new("script")
        .args(["-qec", &line, "/dev/null"])
        .env("GITPOD_STATE_DIR", up.state_dir())
        .env("SHELL", "/bin/sh")
        .env("NO_COLOR", "1")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    text(&output).replace('\r', "")
}

const YML: &str = "ports:\n  - port: 3000\n    name: a shop with a name that is rather long\n";

#[test]
fn addresses_are_whole_on_narrow_terminals_and_for_scripts() {
    let up = Up::new();
    let repo = repository(&[(".gitpod.yml", YML)]);
    let workspace = up.start(repo.path());
    let id = workspace.id();
    let port = up.json(&["ports", id, "-o", "json"])[0]["url"].clone();
    let port = port.as_str().unwrap();
    let place = repo.path().to_str().unwrap();
    for columns in [40, 60, 80, 120] {
        let ports = shown(&up, columns, &format!("ports {id}"));
        assert!(ports.contains(port), "{columns}\n{ports}");
        let list = shown(&up, columns, "list");
        assert!(
            list.contains(id) && list.contains(place),
            "{columns}\n{list}"
        );
        assert!(
            !list.contains("http") || list.contains(port_less(port, id)),
            "{list}"
        );
        for line in ports.lines().chain(list.lines()) {
            let is_address = line.trim() == port || line.trim() == place;
            assert!(
                is_address || line.chars().count() <= columns,
                "{columns}: {line}"
            );
        }
    }
    let row = text(&up.run(&["ports", id]));
    let row = row.lines().nth(1).unwrap();
    assert!(row.contains(port) && row.contains("rather long"), "{row}");
}

/// The part that the workspace's own address has as well.
fn port_less<'u>(url: &'u str, id: &str) -> &'u str {
    url.find(id).map_or(url, |at| &url[at..])
}

#[test]
fn findings_of_the_doctor_go_on_in_the_next_line() {
    let up = Up::new();
    for columns in [40, 80] {
        let told = shown(&up, columns, "doctor");
        assert!(told.contains("CHECK"), "{told}");
        let too_long = |line: &&str| line.chars().count() > columns && line.trim().contains(' ');
        let too_long: Vec<_> = told
            .lines()
            .filter(|line| !line.starts_with("error: ") && !line.starts_with("  fix: do what"))
            .filter(too_long)
            .collect();
        assert!(too_long.is_empty(), "{columns}: {too_long:?}\n{told}");
    }
}

#[test]
fn advice_where_there_is_nothing_to_list_is_not_for_scripts() {
    let up = Up::new();
    for (args, told) in [
        (&["list"][..], "gitpod start REPO"),
        (&["ssh-key", "list"], "gitpod ssh-key add"),
    ] {
        let output = up.run(args);
        assert!(
            output.status.success() && output.stdout.is_empty(),
            "{args:?}"
        );
        let advice = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(advice.contains(told), "{args:?}: {advice}");
    }
}

#[test]
fn fix_of_a_share_that_is_none_fits_the_workspace() {
    let up = Up::new();
    let repo = repository(&[]);
    let id = up.start(repo.path()).id().to_owned();
    let told = |id: &str| {
        let output = up.run(&["unshare", id, "x"]);
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    };
    let (code, of_none) = told("pink-panda-ns35kd21");
    assert_eq!(code, Some(3), "{of_none}");
    assert!(of_none.contains("`gitpod list`"), "{of_none}");
    let (code, of_one) = told(&id);
    assert_eq!(code, Some(1), "{of_one}");
    assert!(
        of_one.contains(&format!("`gitpod share {id} --list`")),
        "{of_one}"
    );
}

#[test]
fn usage_names_what_is_to_be_typed_whatever_the_environment_says() {
    let up = Up::new();
    let output = up.run(&["timeout", "pink-panda-ns35kd21"]);
    let usage = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        usage.contains("Usage: gitpod timeout <ID> <DURATION>"),
        "{usage}"
    );
}
