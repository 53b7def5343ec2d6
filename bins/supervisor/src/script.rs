use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{fs, io};

use gitpod_lifecycle::gitpod_yml::Task;

/// The shell script of a task, as files: one per phase and one that runs them in one shell, so that what `before` exports is
/// there in `command`.
///
/// Files, because a script may be longer than an argument, and because the shell then names file and line of a mistake. Each
/// phase is read with `.` and its status looked at in the next line: `.` inside `&&` or `||` would switch off the user's `set -e`.
#[derive(Debug)]
pub(crate) struct Script {
    pub(crate) path: PathBuf,
}

impl Script {
    /// Writes the files `<stem>.sh`, `<stem>.before.sh`, … into `dir`. `init` is left out once the file `init_done` exists,
    /// which the script makes after an `init` that succeeded.
    pub(crate) fn write(task: &Task, dir: &Path, stem: &str, init_done: &Path) -> io::Result<Self> {
        let mut driver =
            "# Runs the phases of a task one after the other; a phase that fails ends it.\n"
                .to_owned();
        let init = task.init.as_deref().filter(|_| !init_done.exists());
        for (phase, text) in [
            ("before", task.before.as_deref()),
            ("init", init),
            ("command", task.command.as_deref()),
        ] {
            let Some(text) = text else { continue };
            let path = dir.join(format!("{stem}.{phase}.sh"));
            fs::write(&path, text)?;
            let _ = writeln!(
                driver,
                ". {}\n__status=$?; [ \"$__status\" -eq 0 ] || exit \"$__status\"",
                quoted(&path)
            );
            if phase == "init" {
                let _ = writeln!(driver, ": >| {}", quoted(init_done));
            }
        }
        let path = dir.join(format!("{stem}.sh"));
        fs::write(&path, driver)?;
        Ok(Self { path })
    }
}

fn quoted(path: &Path) -> String {
    format!("'{}'", path.to_string_lossy().replace('\'', r"'\''"))
}

/// The shell that runs tasks: bash, which the file format's users expect, or else what every system has.
pub(crate) fn shell() -> &'static str {
    if crate::editors::find_program("bash").is_some() {
        "bash"
    } else {
        "sh"
    }
}
