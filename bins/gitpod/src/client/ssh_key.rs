//! `gitpod ssh-key`.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::connect::{connect_ssh, failure};
use super::table::{Table, Tone};
use crate::cli::{
    Format, SshKeyAddArgs, SshKeyArgs, SshKeyCommand, SshKeyListArgs, SshKeyRemoveArgs, StateDir,
};
use crate::exit::{Failure, Kind};
use crate::print;
use crate::ssh::local::{AddKeysRequest, Key, ListKeysRequest, RemoveKeyRequest};
use crate::ssh::{UserKey, read_lines};

/// Changes or shows whose keys open workspaces.
pub(crate) async fn ssh_key(args: SshKeyArgs) -> Result<(), Failure> {
    match args.command {
        SshKeyCommand::Add(args) => add(args).await,
        SshKeyCommand::List(args) => list(args).await,
        SshKeyCommand::Remove(args) => remove(args).await,
    }
}

/// More than a file of public keys has.
const MOST_BYTES: u64 = 1 << 20;

async fn add(args: SshKeyAddArgs) -> Result<(), Failure> {
    let lines = match &args.file {
        Some(file) => from_file(file)?,
        None => of_user()?,
    };
    let answer = connect_ssh(&args.state)
        .await?
        .add_keys(AddKeysRequest { lines })
        .await;
    let answer = answer.map_err(|why| failure("cannot add the key", &why))?;
    let answer = answer.into_inner();
    for key in &answer.known {
        tell("there already:", key);
    }
    show(args.output.output, "added", &answer.keys)
}

async fn list(args: SshKeyListArgs) -> Result<(), Failure> {
    let keys = all(&args.state).await?;
    match args.output.output {
        Format::Json => print::json(&keys.iter().map(KeyView::from).collect::<Vec<_>>()),
        Format::Text => {
            let mut table = Table::new(["FINGERPRINT", "TYPE", "COMMENT"]);
            for key in keys {
                let cells = [key.fingerprint, key.r#type, key.comment];
                table.row(cells.map(|text| (text, Tone::None)));
            }
            table.print("no keys; `gitpod ssh-key add` adds yours, and `gitpod ssh ID` needs none")
        }
    }
}

async fn remove(args: SshKeyRemoveArgs) -> Result<(), Failure> {
    let request = RemoveKeyRequest { name: args.name };
    let answer = connect_ssh(&args.state).await?.remove_key(request).await;
    let answer = answer.map_err(|why| failure("cannot remove the key", &why))?;
    let removed: Vec<_> = answer.into_inner().key.into_iter().collect();
    show(args.output.output, "removed", &removed)
}

async fn all(state: &StateDir) -> Result<Vec<Key>, Failure> {
    let answer = connect_ssh(state)
        .await?
        .list_keys(ListKeysRequest {})
        .await;
    let answer = answer.map_err(|why| failure("cannot list the keys", &why))?;
    Ok(answer.into_inner().keys)
}

fn show(format: Format, done: &str, keys: &[Key]) -> Result<(), Failure> {
    match format {
        Format::Json => print::json(&keys.iter().map(KeyView::from).collect::<Vec<_>>()),
        Format::Text => {
            for key in keys {
                tell(done, key);
            }
            Ok(())
        }
    }
}

fn tell(what: &str, key: &Key) {
    print::note(format!("{what} {} {}", key.fingerprint, key.comment).trim_end());
}

/// The keys in a file, checked here: a private key goes nowhere.
fn from_file(file: &Path) -> Result<String, Failure> {
    let text = read(file).map_err(|why| {
        Failure::failed(format!("cannot read {}", file.display()))
            .because(&why)
            .fix("name a file with a public key, such as ~/.ssh/id_ed25519.pub, or - for standard input")
    })?;
    let keys = read_lines(&text).map_err(|(line, why)| refused(file, line, &why.to_string()))?;
    if keys.is_empty() {
        return Err(
            Failure::failed(format!("there is no key in {}", file.display()))
                .fix("name a file with a public key, such as ~/.ssh/id_ed25519.pub"),
        );
    }
    Ok(lines(&keys))
}

fn read(file: &Path) -> io::Result<String> {
    let mut text = String::new();
    if file == Path::new("-") {
        io::stdin()
            .lock()
            .take(MOST_BYTES)
            .read_to_string(&mut text)?;
    } else {
        fs::File::open(file)?
            .take(MOST_BYTES)
            .read_to_string(&mut text)?;
    }
    Ok(text)
}

fn refused(file: &Path, line: usize, why: &str) -> Failure {
    let (why, fix) = why.split_once("; fix: ").unwrap_or((why, ""));
    Failure::new(
        Kind::Failed,
        format!("cannot add the key in {}", file.display()),
    )
    .why(format!("line {line}: {why}"))
    .fix(fix)
}

/// The keys that the user's client would offer by itself.
fn of_user() -> Result<String, Failure> {
    let found = in_home();
    if found.is_empty() {
        return Err(Failure::failed("there is no public key to add")
            .why("no file ~/.ssh/id_*.pub holds one that can be used")
            .fix(
                "make one with `ssh-keygen -t ed25519`, or name a file; `gitpod ssh ID` needs none",
            ));
    }
    Ok(lines(&found))
}

/// Keys in `~/.ssh/id_*.pub`; what cannot be used is told and left out.
fn in_home() -> Vec<UserKey> {
    let home = std::env::var_os("HOME").unwrap_or_default();
    let entries = fs::read_dir(Path::new(&home).join(".ssh"));
    let mut files: Vec<PathBuf> = entries
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with("id_") && name.ends_with(".pub") && !name.ends_with("-cert.pub")
        })
        .collect();
    files.sort();
    let mut keys = Vec::new();
    for file in files {
        let text = read(&file).unwrap_or_default();
        match read_lines(&text) {
            Ok(read) => keys.extend(read),
            Err((line, why)) => {
                print::note(&format!(
                    "{} is left out: line {line}: {why}",
                    file.display()
                ));
            }
        }
    }
    keys
}

fn lines(keys: &[UserKey]) -> String {
    keys.iter().map(|key| format!("{}\n", key.line())).collect()
}

/// One key, as commands print it with `-o json`.
#[derive(Debug, Serialize)]
struct KeyView<'a> {
    fingerprint: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
    comment: &'a str,
    public_key: &'a str,
}

impl<'a> From<&'a Key> for KeyView<'a> {
    fn from(key: &'a Key) -> Self {
        Self {
            fingerprint: &key.fingerprint,
            kind: &key.r#type,
            comment: &key.comment,
            public_key: &key.line,
        }
    }
}
