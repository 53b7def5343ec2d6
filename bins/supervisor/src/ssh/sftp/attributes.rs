use std::fs::{File, FileTimes, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use russh_sftp::protocol::FileAttributes;

/// What is known of a file, as the protocol tells it.
pub(super) fn of(file: &Metadata) -> FileAttributes {
    let seconds = |time: i64| Some(u32::try_from(time).unwrap_or_default());
    FileAttributes {
        size: Some(file.len()),
        uid: Some(file.uid()),
        gid: Some(file.gid()),
        permissions: Some(file.mode()),
        atime: seconds(file.atime()),
        mtime: seconds(file.mtime()),
        ..FileAttributes::default()
    }
}

/// Changes what `wanted` says of an open file.
pub(super) fn set(file: &File, wanted: &FileAttributes) -> io::Result<()> {
    if let Some(size) = wanted.size {
        file.set_len(size)?;
    }
    if let Some(mode) = mode_of(wanted) {
        file.set_permissions(Permissions::from_mode(mode))?;
    }
    if let Some(times) = times_of(wanted) {
        file.set_times(times)?;
    }
    match (wanted.uid, wanted.gid) {
        (None, None) => Ok(()),
        (user, group) => fchown(file, user, group),
    }
}

/// The permissions in `wanted`, without the type of the file.
pub(super) fn mode_of(wanted: &FileAttributes) -> Option<u32> {
    Some(wanted.permissions? & 0o7777)
}

fn times_of(wanted: &FileAttributes) -> Option<FileTimes> {
    let at = |seconds: u32| -> SystemTime { UNIX_EPOCH + Duration::from_secs(seconds.into()) };
    let times = FileTimes::new().set_accessed(at(wanted.atime?));
    Some(times.set_modified(at(wanted.mtime?)))
}

/// A line about a file, as `ls -l` prints it at `now` in `zone`.
pub(super) fn line(name: &str, file: &Metadata, now: Timestamp, zone: &TimeZone) -> String {
    format!(
        "{} {:>3} {:<8} {:<8} {:>8} {} {name}",
        mode_in_letters(file.mode()),
        file.nlink(),
        file.uid(),
        file.gid(),
        file.len(),
        time_in_letters(file.mtime(), now, zone),
    )
}

/// With the time of day, if that was within half a year; else with the year.
///
/// **Source:** POSIX, `ls`, "Long format".
fn time_in_letters(seconds: i64, now: Timestamp, zone: &TimeZone) -> String {
    let time = Timestamp::from_second(seconds).unwrap_or_default();
    let age = now.duration_since(time);
    let is_recent = !age.is_negative() && age.unsigned_abs() < HALF_A_YEAR;
    let format = match is_recent {
        true => "%b %e %H:%M",
        false => "%b %e  %Y",
    };
    time.to_zoned(zone.clone()).strftime(format).to_string()
}

const HALF_A_YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60 / 2);

fn mode_in_letters(mode: u32) -> String {
    let kind = match mode & 0o170_000 {
        0o140_000 => 's',
        0o120_000 => 'l',
        0o060_000 => 'b',
        0o040_000 => 'd',
        0o020_000 => 'c',
        0o010_000 => 'p',
        _ => '-',
    };
    let mut text = String::from(kind);
    for (shift, special, letters) in [
        (6, 0o4000, ['s', 'S']),
        (3, 0o2000, ['s', 'S']),
        (0, 0o1000, ['t', 'T']),
    ] {
        let bits = mode >> shift;
        text.push(if bits & 4 != 0 { 'r' } else { '-' });
        text.push(if bits & 2 != 0 { 'w' } else { '-' });
        let [both, alone] = letters;
        text.push(match (mode & special != 0, bits & 1 != 0) {
            (true, true) => both,
            (true, false) => alone,
            (false, true) => 'x',
            (false, false) => '-',
        });
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recent_times_have_the_time_of_day_and_others_the_year() {
        let now: Timestamp = "2026-11-21T21:00:00Z".parse().unwrap();
        for (time, text) in [
            ("2026-11-21T20:59:59Z", "Nov 21 20:59"),
            ("2026-06-01T04:05:06Z", "Jun  1 04:05"),
            ("2026-05-01T04:05:06Z", "May  1  2026"),
            ("2026-11-21T21:00:01Z", "Nov 21  2026"), // of a clock that is ahead
            ("1970-01-01T00:00:00Z", "Jan  1  1970"),
        ] {
            let time: Timestamp = time.parse().unwrap();
            let told = time_in_letters(time.as_second(), now, &TimeZone::UTC);
            assert_eq!(told, text);
        }
    }

    #[test]
    fn modes_are_written_as_ls_writes_them() {
        for (mode, text) in [
            (0o100_644, "-rw-r--r--"),
            (0o040_755, "drwxr-xr-x"),
            (0o120_777, "lrwxrwxrwx"),
            (0o104_755, "-rwsr-xr-x"),
            (0o102_644, "-rw-r-Sr--"),
            (0o041_777, "drwxrwxrwt"),
            (0o041_776, "drwxrwxrwT"),
            (0o010_600, "prw-------"),
        ] {
            assert_eq!(mode_in_letters(mode), text);
        }
    }
}
