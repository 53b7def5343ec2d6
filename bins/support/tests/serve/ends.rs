//! What comes of connections when a server ends or is handed over.

use tokio_util::sync::CancellationToken;

use super::*;

#[tokio::test]
async fn end_waits_for_what_is_asked_and_for_tunnels_and_closes_what_is_idle() {
    let mut rig = Rig::with(&[]).await;
    let mut idle = rig.connect().await;
    idle.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    one_answer(&mut idle).await;
    let mut busy = rig.connect().await;
    busy.write_all(b"GET /slow HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    let mut client = rig.connect().await;
    client.write_all(UPGRADE).await.unwrap();
    let (mut socket, stay) = rig.upgraded.recv().await.unwrap().unwrap();
    rig.end(Ending::Stop);
    assert_eq!(rest_of(&mut idle).await, "");
    rig.slow.notify_one();
    let last = rest_of(&mut busy).await;
    assert!(
        last.contains("200 OK") && last.contains("connection: close"),
        "{last}"
    );
    socket.write_all(b"still here").await.unwrap();
    drop((socket, stay));
    assert!(rest_of(&mut client).await.ends_with("still here"));
    timeout(PATIENCE, rig.ended).await.unwrap().unwrap();
    assert!(TcpStream::connect(rig.address).await.is_err());
}

#[tokio::test]
async fn tunnels_hear_when_there_is_no_time_left_and_the_rest_is_cut() {
    let mut rig = Rig::draining(&[], Duration::from_millis(50)).await;
    let mut busy = rig.connect().await;
    busy.write_all(b"GET /slow HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    let mut client = rig.connect().await;
    client.write_all(UPGRADE).await.unwrap();
    let (socket, mut stay) = rig.upgraded.recv().await.unwrap().unwrap();
    rig.end(Ending::Stop);
    timeout(PATIENCE, stay.over()).await.unwrap();
    drop((socket, stay));
    timeout(PATIENCE, rig.ended).await.unwrap().unwrap();
    assert_eq!(rest_of(&mut busy).await, "");
}

#[tokio::test]
async fn connections_that_are_handed_over_stay_open_and_go_with_their_next_answer() {
    let mut rig = Rig::with(&[]).await;
    let mut idle = rig.connect().await;
    idle.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    assert!(!one_answer(&mut idle).await.contains("connection: close"));
    let is_certain = CancellationToken::new();
    rig.end(Ending::HandOver(is_certain));
    while TcpStream::connect(rig.address).await.is_ok() {} // nobody else has the listener here
    idle.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    let last = rest_of(&mut idle).await;
    assert!(
        last.contains("200 OK") && last.contains("connection: close"),
        "{last}"
    );
    timeout(PATIENCE, rig.ended).await.unwrap().unwrap();
}

#[tokio::test]
async fn time_of_who_is_handed_over_runs_once_somebody_else_serves_for_certain() {
    let mut rig = Rig::draining(&[], Duration::from_millis(1)).await;
    let mut client = rig.connect().await;
    client.write_all(UPGRADE).await.unwrap();
    let (mut socket, mut stay) = rig.upgraded.recv().await.unwrap().unwrap();
    let is_certain = CancellationToken::new();
    rig.end(Ending::HandOver(is_certain.clone()));
    assert!(
        timeout(Duration::from_millis(100), stay.over())
            .await
            .is_err()
    );
    socket.write_all(b"still here").await.unwrap();
    is_certain.cancel();
    timeout(PATIENCE, stay.over()).await.unwrap();
    drop((socket, stay));
    assert!(rest_of(&mut client).await.ends_with("still here"));
    timeout(PATIENCE, rig.ended).await.unwrap().unwrap();
}
