use std::collections::HashMap;
use std::fs::{self, DirEntry, File, OpenOptions, ReadDir};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::PathBuf;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use russh_sftp::protocol::{self, FileAttributes, OpenFlags};

use super::attributes::{self, mode_of};
use super::path::meant;
use super::reply::Reply;
use super::{MOST_BYTES, MOST_HANDLES};

/// What one client has open.
#[derive(Debug, Default)]
pub(super) struct Files {
    open: HashMap<String, Opened>,
    last: u64,
}

#[derive(Debug)]
enum Opened {
    File(File),
    Dir(PathBuf, ReadDir),
}

pub(super) type Done = io::Result<Reply>;

impl Files {
    pub(super) fn open(&mut self, path: &str, flags: OpenFlags, wanted: &FileAttributes) -> Done {
        let create = flags.contains(OpenFlags::CREATE);
        let file = OpenOptions::new()
            .read(flags.contains(OpenFlags::READ))
            .write(flags.contains(OpenFlags::WRITE))
            .append(flags.contains(OpenFlags::APPEND))
            .truncate(flags.contains(OpenFlags::TRUNCATE))
            .create(create)
            .create_new(create && flags.contains(OpenFlags::EXCLUDE))
            .mode(mode_of(wanted).unwrap_or(0o666))
            .open(meant(path))?;
        self.keep(Opened::File(file))
    }

    pub(super) fn opendir(&mut self, path: &str) -> Done {
        let path = meant(path).to_owned();
        let dir = fs::read_dir(&path)?;
        self.keep(Opened::Dir(path, dir))
    }

    fn keep(&mut self, opened: Opened) -> Done {
        if self.open.len() >= MOST_HANDLES {
            return Err(io::Error::other(format!(
                "more than {MOST_HANDLES} files are open; close some"
            )));
        }
        self.last += 1;
        let handle = self.last.to_string();
        self.open.insert(handle.clone(), opened);
        Ok(Reply::Handle(handle))
    }

    pub(super) fn close(&mut self, handle: &str) -> Done {
        let closed = self.open.remove(handle);
        closed.map(|_| Reply::Done).ok_or_else(unknown_handle)
    }

    pub(super) fn file(&self, handle: &str) -> io::Result<&File> {
        match self.open.get(handle) {
            Some(Opened::File(file)) => Ok(file),
            _ => Err(unknown_handle()),
        }
    }

    pub(super) fn read(&self, handle: &str, offset: u64, length: u32) -> Done {
        let mut data = vec![0; length.min(MOST_BYTES) as usize];
        let read = self.file(handle)?.read_at(&mut data, offset)?;
        if read == 0 && length > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        data.truncate(read);
        Ok(Reply::Data(data))
    }

    pub(super) fn write(&self, handle: &str, offset: u64, data: &[u8]) -> Done {
        self.file(handle)?.write_all_at(data, offset)?;
        Ok(Reply::Done)
    }

    pub(super) fn fstat(&self, handle: &str) -> Done {
        let found = match self.open.get(handle).ok_or_else(unknown_handle)? {
            Opened::File(file) => file.metadata()?,
            Opened::Dir(path, _) => path.metadata()?,
        };
        Ok(Reply::Attributes(attributes::of(&found)))
    }

    pub(super) fn fsetstat(&self, handle: &str, wanted: &FileAttributes) -> Done {
        attributes::set(self.file(handle)?, wanted)?;
        Ok(Reply::Done)
    }

    /// Some of the entries, as a directory may have more than fit into a packet.
    pub(super) fn readdir(&mut self, handle: &str) -> Done {
        let Some(Opened::Dir(_, dir)) = self.open.get_mut(handle) else {
            return Err(unknown_handle());
        };
        let entries = dir.take(MOST_ENTRIES).collect::<Result<Vec<_>, _>>()?;
        match entries.is_empty() {
            true => Err(io::ErrorKind::UnexpectedEof.into()),
            false => {
                let (now, zone) = (Timestamp::now(), TimeZone::system());
                let told = entries.iter().map(|it| entry(it, now, &zone));
                Ok(Reply::Names(told.collect()))
            }
        }
    }
}

/// With names of 255 bytes, twice, these take some 70 KiB.
const MOST_ENTRIES: usize = 100;

fn unknown_handle() -> io::Error {
    io::Error::other("nothing of this kind is open under this handle")
}

/// An entry of a directory; one that has gone meanwhile is only named.
fn entry(entry: &DirEntry, now: Timestamp, zone: &TimeZone) -> protocol::File {
    let filename = entry.file_name().to_string_lossy().into_owned();
    match entry.metadata() {
        Ok(found) => protocol::File {
            longname: attributes::line(&filename, &found, now, zone),
            attrs: attributes::of(&found),
            filename,
        },
        Err(_) => protocol::File {
            longname: filename.clone(),
            attrs: FileAttributes::empty(),
            filename,
        },
    }
}
