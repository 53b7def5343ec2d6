use std::io;

use russh_sftp::protocol::{
    Attrs, Data, ExtendedReply, File, FileAttributes, Handle, Name, Packet, Status, StatusCode,
    Version,
};

/// What a request that succeeds is answered with.
#[derive(Debug)]
pub(super) enum Reply {
    Done,
    Version(Version),
    Handle(String),
    Data(Vec<u8>),
    Attributes(FileAttributes),
    Names(Vec<File>),
    Extended(Vec<u8>),
}

pub(super) fn to_packet(id: u32, done: io::Result<Reply>) -> Packet {
    match done {
        Ok(Reply::Done) => status(id, StatusCode::Ok, "done"),
        Ok(Reply::Version(version)) => Packet::Version(version),
        Ok(Reply::Handle(handle)) => Packet::Handle(Handle { id, handle }),
        Ok(Reply::Data(data)) => Packet::Data(Data { id, data }),
        Ok(Reply::Attributes(attrs)) => Packet::Attrs(Attrs { id, attrs }),
        Ok(Reply::Names(files)) => Packet::Name(Name { id, files }),
        Ok(Reply::Extended(data)) => Packet::ExtendedReply(ExtendedReply { id, data }),
        Err(why) => status(id, code_of(&why), &why.to_string()),
    }
}

pub(super) fn status(id: u32, status_code: StatusCode, message: &str) -> Packet {
    Packet::Status(Status {
        id,
        status_code,
        error_message: message.to_owned(),
        language_tag: "en".to_owned(),
    })
}

fn code_of(why: &io::Error) -> StatusCode {
    match why.kind() {
        io::ErrorKind::UnexpectedEof => StatusCode::Eof,
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => StatusCode::NoSuchFile,
        io::ErrorKind::PermissionDenied => StatusCode::PermissionDenied,
        io::ErrorKind::Unsupported => StatusCode::OpUnsupported,
        io::ErrorKind::InvalidData => StatusCode::BadMessage,
        _ => StatusCode::Failure,
    }
}
