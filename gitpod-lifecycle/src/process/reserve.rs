//! Room on the disk that is given back when there is none.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::private_file::make_dir;

/// Some files with nothing in them that matters, for the day on which the disk is full.
///
/// To stop or delete a workspace is how a user makes room again; that takes some room by
/// itself, as what was asked for is written down first. One file is removed for each
/// write that finds none. While a workspace goes on writing it takes what is freed as well;
/// then the next file is tried. Cloning names the same files.
#[derive(Clone, Debug)]
pub struct Reserve {
    dir: PathBuf,
}

/// Enough for a record, and for what a database writes about it.
const PIECE: usize = 128 * 1024;
/// Some stops, each against a workspace that fills the disk meanwhile.
const PIECES: usize = 8;

impl Reserve {
    /// In the directory `dir`, which need not exist.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// Gives some room back. Answers whether there was any.
    #[must_use]
    pub fn give_back(&self) -> bool {
        self.pieces().any(|piece| fs::remove_file(piece).is_ok())
    }

    /// Does `write` until it finds room, or there is none left to give back.
    ///
    /// # Errors
    ///
    /// Of the last time that it was done.
    pub fn make_room_for<T>(&self, mut write: impl FnMut() -> io::Result<T>) -> io::Result<T> {
        loop {
            match write() {
                Err(why) if super::private_file::is_full(&why) && self.give_back() => {}
                written => return written,
            }
        }
    }

    /// Gives room back if there is less than a single write may need.
    pub fn make_room(&self) {
        if self.available().is_some_and(|bytes| bytes < PIECE as u64) {
            let _ = self.give_back();
        }
    }

    /// Takes what is missing, if there is plenty.
    pub fn fill(&self) {
        let missing = self.pieces().filter(|piece| !piece.exists());
        let missing: Vec<_> = missing.collect();
        let needed = 4 * (missing.len() * PIECE) as u64;
        if missing.is_empty() || make_dir(&self.dir).is_err() {
            return;
        }
        if self.available().is_some_and(|bytes| bytes < needed) {
            return;
        }
        for piece in missing {
            if take(&piece).is_err() {
                let _ = fs::remove_file(piece); // there is no plenty
                return;
            }
        }
    }

    /// How many bytes this user may still write.
    fn available(&self) -> Option<u64> {
        let about = rustix::fs::statvfs(&self.dir).ok()?;
        Some(about.f_bavail.saturating_mul(about.f_frsize))
    }

    fn pieces(&self) -> impl Iterator<Item = PathBuf> {
        (0..PIECES).map(|number| self.dir.join(number.to_string()))
    }

    #[cfg(test)]
    pub(crate) fn left(&self) -> usize {
        self.pieces().filter(|piece| piece.exists()).count()
    }
}

fn take(piece: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    let mut file = options.open(piece)?;
    file.write_all(&[0; PIECE])?;
    file.sync_all() // some disks find out only now
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full<T>() -> io::Result<T> {
        Err(io::ErrorKind::StorageFull.into())
    }

    #[test]
    fn room_is_given_back_piece_by_piece_and_taken_again() {
        let dir = tempfile::tempdir().unwrap();
        let reserve = Reserve::new(dir.path().join("reserve"));
        assert!(!reserve.give_back(), "nothing was taken yet");
        reserve.fill();
        assert_eq!(reserve.left(), PIECES);

        let mut tries = 0;
        let written = reserve.make_room_for(|| {
            tries += 1;
            if tries < 4 { full() } else { Ok(()) }
        });
        assert!(written.is_ok());
        assert_eq!(reserve.left(), PIECES - 3);
        assert!(reserve.make_room_for(full::<()>).is_err());
        assert_eq!(reserve.left(), 0);
        reserve.fill();
        assert_eq!(reserve.left(), PIECES);
    }

    #[test]
    fn only_a_lack_of_room_costs_any() {
        let dir = tempfile::tempdir().unwrap();
        let reserve = Reserve::new(dir.path());
        reserve.fill();
        let other = || Err::<(), _>(io::ErrorKind::PermissionDenied.into());
        assert!(reserve.make_room_for(other).is_err());
        assert_eq!(reserve.left(), PIECES);
    }
}
