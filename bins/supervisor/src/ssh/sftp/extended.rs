use std::{env, fs, io};

use bytes::{Buf, BufMut};
use russh_sftp::protocol::Version;
use rustix::fs::{StatVfs, StatVfsMountFlags, fstatvfs, statvfs};

use super::entries::named;
use super::files::Files;
use super::path::{expanded, meant, real};
use super::reply::Reply;
use super::{LONGEST_PACKET, MOST_BYTES, MOST_HANDLES};

/// What this server can beyond the draft. **Source:** OpenSSH's PROTOCOL, section 4.
const OFFERED: [(&str, &str); 7] = [
    ("posix-rename@openssh.com", "1"),
    ("hardlink@openssh.com", "1"),
    ("fsync@openssh.com", "1"),
    ("statvfs@openssh.com", "2"),
    ("fstatvfs@openssh.com", "2"),
    ("limits@openssh.com", "1"),
    ("expand-path@openssh.com", "1"),
];

pub(super) fn offered() -> Version {
    let owned = |(name, version): (&str, &str)| (name.to_owned(), version.to_owned());
    let mut offered = Version::new();
    offered.extensions = OFFERED.into_iter().map(owned).collect();
    offered
}

pub(super) fn carry_out(files: &Files, request: &str, mut data: &[u8]) -> io::Result<Reply> {
    match request {
        "posix-rename@openssh.com" => {
            fs::rename(text(&mut data)?, text(&mut data)?)?;
            Ok(Reply::Done)
        }
        "hardlink@openssh.com" => {
            fs::hard_link(text(&mut data)?, text(&mut data)?)?;
            Ok(Reply::Done)
        }
        "fsync@openssh.com" => {
            files.file(text(&mut data)?)?.sync_all()?;
            Ok(Reply::Done)
        }
        "statvfs@openssh.com" => Ok(file_system(&statvfs(meant(text(&mut data)?))?)),
        "fstatvfs@openssh.com" => Ok(file_system(&fstatvfs(files.file(text(&mut data)?)?)?)),
        "limits@openssh.com" => Ok(limits()),
        "expand-path@openssh.com" => {
            let path = expanded(text(&mut data)?, env::var_os("HOME"));
            Ok(named(&real(&path)?))
        }
        _ => Err(io::ErrorKind::Unsupported.into()),
    }
}

/// Takes a string off the front of `data`.
fn text<'a>(data: &mut &'a [u8]) -> io::Result<&'a str> {
    let broken = || io::Error::new(io::ErrorKind::InvalidData, "the request cannot be read");
    let length = data.try_get_u32().map_err(|_| broken())?;
    let (text, rest) = data.split_at_checked(length as usize).ok_or_else(broken)?;
    *data = rest;
    std::str::from_utf8(text).map_err(|_| broken())
}

fn limits() -> Reply {
    let mut data = Vec::new();
    let handles = u64::try_from(MOST_HANDLES).unwrap_or(u64::MAX);
    for limit in [
        LONGEST_PACKET.into(),
        MOST_BYTES.into(),
        MOST_BYTES.into(),
        handles,
    ] {
        data.put_u64(limit);
    }
    Reply::Extended(data)
}

fn file_system(found: &StatVfs) -> Reply {
    let mut flags = 0;
    if found.f_flag.contains(StatVfsMountFlags::RDONLY) {
        flags |= 1;
    }
    if found.f_flag.contains(StatVfsMountFlags::NOSUID) {
        flags |= 2;
    }
    let mut data = Vec::new();
    for number in [
        found.f_bsize,
        found.f_frsize,
        found.f_blocks,
        found.f_bfree,
        found.f_bavail,
        found.f_files,
        found.f_ffree,
        found.f_favail,
        found.f_fsid,
        flags,
        found.f_namemax,
    ] {
        data.put_u64(number);
    }
    Reply::Extended(data)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broken_strings_are_refused() {
        for data in [
            b"".as_slice(),
            b"\0\0\0",
            b"\0\0\0\x01",
            b"\xff\xff\xff\xffx",
            b"\0\0\0\x01\xff",
        ] {
            assert!(text(&mut &*data).is_err(), "{data:?}");
        }
        let mut data = b"\0\0\0\x01a\0\0\0\0".as_slice();
        assert_eq!(
            (text(&mut data).unwrap(), text(&mut data).unwrap(), data),
            ("a", "", b"".as_slice())
        );
    }
}
