//! Messages with descriptors, over a unix socket.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::cmsg_space;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use rustix::process::geteuid;
use tokio::io::Interest;
use tokio::net::UnixStream;

/// Descriptors in a message: the listeners of HTTP, SSH and commands.
const MOST: usize = 3;
/// Bytes of a message.
const LONGEST: usize = 4096;

/// Sends one message, short enough to go at once.
pub(super) async fn send(
    stream: &UnixStream,
    message: &[u8],
    fds: &[BorrowedFd<'_>],
) -> io::Result<()> {
    let sent = stream.async_io(Interest::WRITABLE, || {
        let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(MOST))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds)) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let bytes = [IoSlice::new(message)];
        Ok(sendmsg(stream, &bytes, &mut control, SendFlags::NOSIGNAL)?)
    });
    match sent.await? == message.len() {
        true => Ok(()),
        false => Err(io::ErrorKind::WriteZero.into()),
    }
}

/// Receives one message; an empty one if the other side has gone.
pub(super) async fn receive(stream: &UnixStream) -> io::Result<(Vec<u8>, Vec<OwnedFd>)> {
    let received = stream.async_io(Interest::READABLE, || {
        let mut bytes = vec![0; LONGEST];
        let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(MOST))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let received = recvmsg(
            stream,
            &mut [IoSliceMut::new(&mut bytes)],
            &mut control,
            RecvFlags::CMSG_CLOEXEC,
        )?;
        bytes.truncate(received.bytes);
        let rights = control.drain().filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(fds) => Some(fds),
            _ => None,
        });
        Ok((bytes, rights.flatten().collect()))
    });
    received.await
}

/// Whether the same user is at the other end.
pub(super) fn is_of_same_user(stream: &UnixStream) -> bool {
    let peer = stream.peer_cred();
    peer.is_ok_and(|peer| peer.uid() == geteuid().as_raw())
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    #[tokio::test]
    async fn listener_is_the_same_at_the_other_end() {
        let (here, there) = UnixStream::pair().unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        send(&here, b"given\n", &[listener.as_fd(), listener.as_fd()])
            .await
            .unwrap();
        drop(listener);
        let client = tokio::net::TcpStream::connect(address).await.unwrap(); // waits in the queue
        let (message, mut fds) = receive(&there).await.unwrap();
        assert_eq!((message.as_slice(), fds.len()), (&b"given\n"[..], 2));
        let listener = std::net::TcpListener::from(fds.remove(0));
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        assert_eq!(
            listener.accept().await.unwrap().1,
            client.local_addr().unwrap()
        );
        assert!(is_of_same_user(&there));
        drop(here);
        assert!(receive(&there).await.unwrap().0.is_empty());
    }
}
