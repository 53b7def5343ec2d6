use std::fs::{self, DirBuilder, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, chown};
use std::path::Path;

use russh_sftp::protocol::{self, FileAttributes};
use rustix::fs::{
    AtFlags, CWD, OFlags, RenameFlags, Timespec, Timestamps, renameat_with, utimensat,
};

use super::attributes::{self, mode_of};
use super::files::Done;
use super::path::{meant, real};
use super::reply::Reply;

pub(super) fn stat(path: &str) -> Done {
    let found = meant(path).metadata()?;
    Ok(Reply::Attributes(attributes::of(&found)))
}

pub(super) fn lstat(path: &str) -> Done {
    let found = meant(path).symlink_metadata()?;
    Ok(Reply::Attributes(attributes::of(&found)))
}

pub(super) fn setstat(path: &str, wanted: &FileAttributes) -> Done {
    let path = meant(path);
    if let Some(size) = wanted.size {
        let flags = OFlags::NONBLOCK.bits().cast_signed(); // nobody need be at the other end of a pipe
        let file = OpenOptions::new()
            .write(true)
            .custom_flags(flags)
            .open(path);
        file?.set_len(size)?;
    }
    if let Some(mode) = mode_of(wanted) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    }
    if let (Some(accessed), Some(modified)) = (wanted.atime, wanted.mtime) {
        let at = |seconds: u32| Timespec {
            tv_sec: seconds.into(),
            tv_nsec: 0,
        };
        let times = Timestamps {
            last_access: at(accessed),
            last_modification: at(modified),
        };
        utimensat(CWD, path, &times, AtFlags::empty())?;
    }
    if wanted.uid.is_some() || wanted.gid.is_some() {
        chown(path, wanted.uid, wanted.gid)?;
    }
    Ok(Reply::Done)
}

pub(super) fn remove(path: &str) -> Done {
    fs::remove_file(path)?;
    Ok(Reply::Done)
}

pub(super) fn mkdir(path: &str, wanted: &FileAttributes) -> Done {
    DirBuilder::new()
        .mode(mode_of(wanted).unwrap_or(0o777))
        .create(path)?;
    Ok(Reply::Done)
}

pub(super) fn rmdir(path: &str) -> Done {
    fs::remove_dir(path)?;
    Ok(Reply::Done)
}

pub(super) fn realpath(path: &str) -> Done {
    Ok(named(&real(meant(path))?))
}

/// Never replaces anything, as the draft wants; `posix-rename@openssh.com` does.
pub(super) fn rename(from: &str, to: &str) -> Done {
    renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE)?;
    Ok(Reply::Done)
}

pub(super) fn readlink(path: &str) -> Done {
    Ok(named(&fs::read_link(path)?))
}

pub(super) fn symlink(target: &str, link: &str) -> Done {
    std::os::unix::fs::symlink(target, link)?;
    Ok(Reply::Done)
}

/// An answer that is a path.
pub(super) fn named(path: &Path) -> Reply {
    Reply::Names(vec![protocol::File {
        filename: path.to_string_lossy().into_owned(),
        longname: path.to_string_lossy().into_owned(),
        attrs: FileAttributes::empty(),
    }])
}
