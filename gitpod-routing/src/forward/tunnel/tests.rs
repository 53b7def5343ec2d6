use tokio::io::duplex;
use tokio::net::{TcpListener, TcpStream};

use super::*;

/// Two ends of a connection.
async fn sockets() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).await;
    (near.unwrap(), listener.accept().await.unwrap().0)
}

/// Bytes of which no two pieces are alike.
fn bytes(length: u32) -> Vec<u8> {
    (0..length / 4).flat_map(u32::to_be_bytes).collect()
}

async fn send(mut to: impl AsyncWrite + Unpin, bytes: Vec<u8>) {
    to.write_all(&bytes).await.unwrap();
    to.shutdown().await.unwrap();
}

async fn receive(mut from: impl AsyncRead + Unpin) -> Vec<u8> {
    let mut all = Vec::new();
    from.read_to_end(&mut all).await.unwrap();
    all
}

#[test]
fn idle_tunnel_is_small() {
    assert!(size_of::<Tunnel>() <= 320, "{}", size_of::<Tunnel>());
}

#[tokio::test]
async fn long_runs_between_sockets_arrive_whole_one_after_the_other() {
    let ((client, near), (far, server)) = (sockets().await, sockets().await);
    let ahead = Bytes::from_static(b"read ahead, ");
    let tunnel = Tunnel::new(
        (Side::Socket(near), ahead),
        (Side::Socket(far), Bytes::new()),
        Meter::default(),
    );
    let tunnel = tokio::spawn(tunnel);
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    for length in [4_000_000, 40, 9_000_000] {
        let sent = bytes(length);
        let mut expected = sent.clone();
        if length == 4_000_000 {
            expected.splice(0..0, *b"read ahead, ");
        }
        let mut received = vec![0; expected.len()];
        let (sending, receiving) = tokio::join!(
            to_client.write_all(&sent),
            from_server.read_exact(&mut received)
        );
        sending.unwrap();
        receiving.unwrap();
        assert!(received == expected, "{length} forth");
        let mut received = vec![0; sent.len()];
        let (sending, receiving) = tokio::join!(
            to_server.write_all(&sent),
            from_client.read_exact(&mut received)
        );
        sending.unwrap();
        receiving.unwrap();
        assert!(received == sent, "{length} back");
    }
    to_client.shutdown().await.unwrap();
    assert_eq!(receive(from_server).await, b"");
    send(to_server, bytes(3_000_000)).await;
    assert!(receive(from_client).await == bytes(3_000_000));
    tunnel.await.unwrap().unwrap();
}

#[tokio::test]
async fn websocket_that_has_to_go_is_closed_after_the_frame_that_is_on_its_way() {
    for cut in [0, 1, 2, 3, 300] {
        let ((mut client, near), (far, mut server)) = (sockets().await, sockets().await);
        let frame = [&[0x82, 126, 1, 44], bytes(300).as_slice()].concat();
        let (first, rest) = frame.split_at(cut);
        let tunnel = Tunnel::new(
            (Side::Socket(near), Bytes::new()),
            (Side::Socket(far), Bytes::copy_from_slice(first)),
            Meter::new(None, Some(Frames::default())),
        );
        let end = tokio::spawn(tunnel.close());
        server.write_all(rest).await.unwrap();
        server.write_all(&frame).await.unwrap(); // which is one too many
        let at_client = match cut {
            0 => COME_AGAIN.to_vec(),
            _ => [&frame, &COME_AGAIN[..]].concat(),
        };
        let mut got = vec![0; at_client.len()];
        client.read_exact(&mut got).await.unwrap();
        assert!(got == at_client, "{cut}");
        assert_eq!(client.read(&mut got).await.unwrap(), 0);
        drop(client);
        end.await.unwrap().unwrap();
    }
}

/// However far a run of long messages has come, and whoever reads it slowly.
#[tokio::test]
async fn websocket_whose_messages_are_spliced_is_closed_after_the_frame_that_is_on_its_way() {
    let head = [&[0x82, 127][..], &900_000_u64.to_be_bytes()].concat();
    let frame = [&head[..], bytes(900_000).as_slice()].concat();
    for (whole, cut) in [(4, 0), (4, 5), (3, 400_000), (5, 899_000)] {
        let ((mut client, near), (far, mut server)) = (sockets().await, sockets().await);
        let mut tunnel = Tunnel::new(
            (Side::Socket(near), Bytes::new()),
            (Side::Socket(far), Bytes::new()),
            Meter::new(None, Some(Frames::default())),
        );
        let sent = [frame.repeat(whole).as_slice(), frame.get(..cut).unwrap()].concat();
        let (mut got, expected) = (vec![0; sent.len()], sent.clone());
        tokio::select! {
            _ = &mut tunnel => panic!("ends"),
            (sending, receiving) = async {
                tokio::join!(server.write_all(&sent), client.read_exact(&mut got))
            } => {
                sending.unwrap();
                receiving.unwrap();
            }
        }
        assert!(got == expected, "{whole} {cut}");
        #[cfg(target_os = "linux")]
        assert!(tunnel.back.run >= LONG, "it is spliced");
        let end = tokio::spawn(tunnel.close());
        server.write_all(&frame[cut..]).await.unwrap();
        let at_client = match cut {
            0 => COME_AGAIN.to_vec(),
            _ => [&frame[cut..], &COME_AGAIN[..]].concat(),
        };
        assert!(receive(&mut client).await == at_client, "{whole} {cut}");
        drop(client);
        end.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn long_runs_go_both_ways_at_once_whatever_the_connections_are() {
    for server_is_socket in [true, false] {
        let (client, near) = sockets().await;
        let (far, server): (Side, crate::forward::Connection) = match server_is_socket {
            true => {
                let (far, server) = sockets().await;
                (Side::Socket(far), Box::new(server))
            }
            false => {
                let (far, server) = duplex(1000);
                (Side::Connection(Box::new(far)), Box::new(server))
            }
        };
        let tunnel = tokio::spawn(Tunnel::new(
            (Side::Socket(near), Bytes::new()),
            (far, Bytes::new()),
            Meter::default(),
        ));
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = tokio::io::split(server);
        let (forth, back) = (bytes(7_000_000), bytes(5_000_000));
        let (_, _, at_server, at_client) = tokio::join!(
            send(to_client, forth.clone()),
            send(to_server, back.clone()),
            receive(from_server),
            receive(from_client)
        );
        assert!(
            at_server == forth && at_client == back,
            "{server_is_socket}"
        );
        tunnel.await.unwrap().unwrap();
    }
}
