//! The file that OpenSSH's configuration of the user may include.

use std::path::{Path, PathBuf};

use crate::private_file;
use crate::ssh::{SshDir, host_block};
use crate::workspaces::Workspaces;

/// Keeps a block for each workspace in the file, until the process ends.
pub(super) async fn keep(workspaces: Workspaces, dir: SshDir, state_dir: PathBuf) {
    let mut roster = workspaces.roster();
    loop {
        // Before the list: what changes after it is seen in the next round.
        roster.mark_unchanged();
        match workspaces.list().await {
            Ok(list) => {
                let ids: Vec<_> = list.into_iter().map(|workspace| workspace.id).collect();
                if let Err(why) = write(&dir, &state_dir, &ids) {
                    tracing::warn!(%why, "ssh configuration is not written");
                }
            }
            Err(why) => tracing::warn!(%why, "cannot list workspaces"),
        }
        if roster.changed().await.is_err() {
            return;
        }
    }
}

fn write(dir: &SshDir, state_dir: &Path, ids: &[String]) -> std::io::Result<()> {
    let program = std::env::current_exe()?;
    let block = host_block(&program, state_dir, ids).map_err(std::io::Error::other)?;
    let text = format!("# Written by `gitpod up`; changes are lost.\n{block}");
    let path = dir.config();
    tokio::task::block_in_place(|| private_file::replace(&path, &text))
}
