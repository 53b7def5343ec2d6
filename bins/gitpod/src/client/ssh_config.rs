//! `gitpod ssh-config`.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::connect::{connect, failure};
use super::ssh::endpoint;
use crate::cli::SshConfigArgs;
use crate::exit::{Failure, Kind};
use crate::local::ListRequest;
use crate::print;
use crate::ssh::{SshDir, host_block, include_pattern};
use crate::state_dir;

/// Prints what OpenSSH needs to reach workspaces by name, or lets the user's
/// configuration include the file in which `up` keeps it.
pub(crate) async fn ssh_config(args: SshConfigArgs) -> Result<(), Failure> {
    let state = state_dir::locate(args.state.state_dir.as_deref())?;
    let gateway = endpoint(&args.state).await;
    if args.write {
        // It holds for every later `up`; one that runs has to have a gateway.
        if let Err(why) = gateway
            && why.kind() != Kind::NotRunning
        {
            return Err(why);
        }
        let file = match args.file {
            Some(file) => file,
            None => users_file()?,
        };
        return include(&file, &state);
    }
    gateway?;
    let workspaces = connect(&args.state).await?.list(ListRequest {}).await;
    let workspaces = workspaces.map_err(|why| failure("cannot list workspaces", &why))?;
    let ids: Vec<_> = workspaces
        .into_inner()
        .workspaces
        .into_iter()
        .map(|one| one.id)
        .collect();
    let program = std::env::current_exe()
        .map_err(|why| Failure::failed("cannot tell where this program is").because(&why))?;
    let block = host_block(&program, &state, &ids).map_err(|why| unquotable(&why))?;
    print::to_stdout(|out| out.write_all(block.as_bytes()))
}

fn users_file() -> Result<PathBuf, Failure> {
    let home = std::env::var_os("HOME").filter(|home| !home.is_empty());
    let home = home.ok_or_else(|| {
        Failure::failed("cannot tell where OpenSSH's configuration is")
            .why("HOME is not set")
            .fix("name the file with --file")
    })?;
    Ok(Path::new(&home).join(".ssh/config"))
}

fn unquotable(why: &(dyn std::error::Error + 'static)) -> Failure {
    Failure::failed("cannot write a configuration of OpenSSH")
        .because(why)
        .fix("use a state directory with a plain name (--state-dir)")
}

/// Puts an `Include` into `file`, ahead of everything: behind a `Host` line it would
/// count for that host only.
fn include(file: &Path, state: &Path) -> Result<(), Failure> {
    let cannot = |why: &io::Error| {
        Failure::failed(format!("cannot write {}", file.display()))
            .because(why)
            .fix("name another file with --file, or put there by hand what `gitpod ssh-config` prints")
    };
    let included = include_pattern(&SshDir::of(state).config()).map_err(|why| unquotable(&why))?;
    // What a link leads to is changed, and the link stays.
    let target = fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
    let before = match fs::read_to_string(&target) {
        Ok(text) => text,
        Err(why) if why.kind() == io::ErrorKind::NotFound => String::new(),
        Err(why) => return Err(cannot(&why)),
    };
    let after = with_include(&before, &included);
    if after == before {
        print::note(&format!("{} includes it already", file.display()));
        return Ok(());
    }
    replace(&target, &after).map_err(|why| cannot(&why))?;
    print::note(&format!(
        "{} now includes the workspaces of {}: connect with `ssh ID.gitpod`",
        file.display(),
        state.display()
    ));
    Ok(())
}

/// Begin and end of what is ours in a user's file.
const BEGIN: &str = "# >>> gitpod ssh-config >>>";
const END: &str = "# <<< gitpod ssh-config <<<";
const ABOUT: &str = "# Kept by `gitpod ssh-config --write`. To undo it, remove these lines.";

/// `text` with the file `included`; everything else in it stays, byte for byte.
fn with_include(text: &str, included: &str) -> String {
    let line = format!("Include {included}");
    let Some((ours, rest)) = ours(text) else {
        let gap = if text.is_empty() { "" } else { "\n" };
        return format!("{BEGIN}\n{ABOUT}\n{line}\n{END}\n{gap}{text}");
    };
    if ours.lines().any(|known| known == line) {
        return text.to_owned();
    }
    // Workspaces of another state directory stay, too.
    let kept = ours.trim_end().strip_suffix(END).unwrap_or(ours);
    format!("{kept}{line}\n{END}\n{rest}")
}

/// Our lines at the beginning of `text`, and the rest.
fn ours(text: &str) -> Option<(&str, &str)> {
    if !text.starts_with(BEGIN) {
        return None;
    }
    let end = text.find(&format!("\n{END}\n"))?;
    text.split_at_checked(end + END.len() + 2)
}

/// Replaces `path` whole, or not at all, with the mode it had.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    if let Some(dir) = path.parent() {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)?;
    }
    let mode = fs::metadata(path).map_or(0o600, |about| about.permissions().mode() & 0o777);
    let mut name = path.as_os_str().to_owned();
    name.push(".gitpod-new");
    let fresh = PathBuf::from(name);
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(mode)
        .open(&fresh)?;
    file.set_permissions(fs::Permissions::from_mode(mode))?;
    let written = file
        .write_all(text.as_bytes())
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::rename(&fresh, path));
    if written.is_err() {
        let _ = fs::remove_file(&fresh);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = r#""/one/ssh/config""#;
    const TWO: &str = r#""/two/ssh/config""#;

    #[test]
    fn include_comes_first_once_and_the_rest_stays() {
        let users = "Host *.example.com\n\tUser me\n  \n# no end of line";
        let once = with_include(users, ONE);
        assert!(once.starts_with(BEGIN), "{once}");
        assert!(once.ends_with(users), "{once}");
        assert_eq!(with_include(&once, ONE), once);

        let both = with_include(&once, TWO);
        assert!(
            both.contains(ONE) && both.contains(TWO) && both.ends_with(users),
            "{both}"
        );
        assert_eq!(both.matches(BEGIN).count(), 1);
        assert_eq!(with_include(&both, ONE), both);
        assert_eq!(with_include(&both, TWO), both);
    }

    #[test]
    fn marks_that_were_damaged_are_left_alone() {
        let users = format!("{BEGIN}\nInclude x\n");
        let text = with_include(&users, ONE);
        assert!(text.ends_with(&users) && text.contains(ONE), "{text}");
    }

    #[test]
    fn file_keeps_its_mode_and_a_link_stays_a_link() {
        let dir = tempfile::tempdir().unwrap();
        let (file, link) = (dir.path().join("real"), dir.path().join("config"));
        fs::write(&file, "Host x\n").unwrap();
        fs::set_permissions(&file, PermissionsExt::from_mode(0o640)).unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        include(&link, Path::new("/state")).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert!(fs::read_to_string(&file).unwrap().ends_with("Host x\n"));
        let mode = fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o640);

        let new = dir.path().join("deep/er/config");
        include(&new, Path::new("/state")).unwrap();
        assert_eq!(
            fs::metadata(&new).unwrap().permissions().mode() & 0o777,
            0o600
        );
    }
}
