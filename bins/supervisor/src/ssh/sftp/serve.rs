use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};

use bytes::{Buf, Bytes};
use russh_sftp::protocol::{Packet, StatusCode};

use super::LONGEST_PACKET;
use super::files::Files;
use super::reply::{Reply, status, to_packet};
use super::{entries, extended};

/// Answers requests in their order, until there are none.
pub(super) fn serve() -> io::Result<()> {
    let mut input = BufReader::with_capacity(BUFFER_BYTES, io::stdin().lock());
    let mut output = BufWriter::with_capacity(BUFFER_BYTES, io::stdout().lock());
    let mut files = Files::default();
    loop {
        // Answers are sent together as long as there are more requests already.
        if input.buffer().is_empty() {
            output.flush()?;
        }
        if input.fill_buf()?.is_empty() {
            return Ok(());
        }
        let request = read(&mut input)?;
        let answer: Bytes = answer(&mut files, request)
            .try_into()
            .map_err(io::Error::other)?;
        output.write_all(&answer)?;
    }
}

const BUFFER_BYTES: usize = 64 * 1024;

fn read(input: &mut impl Read) -> io::Result<Bytes> {
    let mut length = [0; 4];
    input.read_exact(&mut length)?;
    let length = u32::from_be_bytes(length);
    if length == 0 || length > LONGEST_PACKET {
        let why = format!("a packet of {length} bytes, of at most {LONGEST_PACKET}");
        return Err(io::Error::new(io::ErrorKind::InvalidData, why));
    }
    let mut packet = vec![0; length as usize];
    input.read_exact(&mut packet)?;
    Ok(packet.into())
}

fn answer(files: &mut Files, mut request: Bytes) -> Packet {
    // The number is where it is in every request, whatever is wrong with the rest.
    let id = request.get(1..5).map_or(0, |mut id| id.get_u32());
    match Packet::try_from(&mut request) {
        Ok(request) => to_packet(id, carry_out(files, request)),
        Err(_) => status(id, StatusCode::BadMessage, "the request cannot be read"),
    }
}

fn carry_out(files: &mut Files, request: Packet) -> io::Result<Reply> {
    match request {
        Packet::Init(_) => Ok(Reply::Version(extended::offered())),
        Packet::Open(it) => files.open(&it.filename, it.pflags, &it.attrs),
        Packet::Close(it) => files.close(&it.handle),
        Packet::Read(it) => files.read(&it.handle, it.offset, it.len),
        Packet::Write(it) => files.write(&it.handle, it.offset, &it.data),
        Packet::Lstat(it) => entries::lstat(&it.path),
        Packet::Stat(it) => entries::stat(&it.path),
        Packet::Fstat(it) => files.fstat(&it.handle),
        Packet::SetStat(it) => entries::setstat(&it.path, &it.attrs),
        Packet::FSetStat(it) => files.fsetstat(&it.handle, &it.attrs),
        Packet::OpenDir(it) => files.opendir(&it.path),
        Packet::ReadDir(it) => files.readdir(&it.handle),
        Packet::Remove(it) => entries::remove(&it.filename),
        Packet::MkDir(it) => entries::mkdir(&it.path, &it.attrs),
        Packet::RmDir(it) => entries::rmdir(&it.path),
        Packet::RealPath(it) => entries::realpath(&it.path),
        Packet::Rename(it) => entries::rename(&it.oldpath, &it.newpath),
        Packet::ReadLink(it) => entries::readlink(&it.path),
        // OpenSSH's clients send the two in the other order than the draft says, and so does everybody since.
        Packet::Symlink(it) => entries::symlink(&it.linkpath, &it.targetpath),
        Packet::Extended(it) => extended::carry_out(files, &it.request, &it.data),
        _ => Err(io::ErrorKind::Unsupported.into()),
    }
}
