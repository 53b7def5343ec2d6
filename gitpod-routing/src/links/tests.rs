use super::*;
use crate::host::{HostPattern, Scheme};

fn links() -> Links {
    let pattern = HostPattern::new("ws.example.com").unwrap();
    let urls = PublicUrl::new(Scheme::Https, pattern);
    Links::new(SigningKey::from_bytes([1; 32]), urls)
}

fn id() -> WorkspaceId {
    "pink-panda-ns35kd21".parse().unwrap()
}

fn token(url: &SecretUrl) -> Vec<u8> {
    url.expose().split_once('?').unwrap().1.into()
}

fn now() -> SystemTime {
    SystemTime::now()
}

#[tokio::test]
async fn attack_27_open_link_works_once_within_a_minute_and_on_its_own_host() {
    let links = links();
    let target = HostTarget::port(id(), 3000);
    let path: LocalPath = "/a?b".parse().unwrap();
    let url = links.open(&target, &path, now()).unwrap();

    for other in [HostTarget::ide(id()), HostTarget::port(id(), 3001)] {
        let carried = links.use_open(&token(&url), &other, now()).await;
        assert!(matches!(carried, Err(LinkError::Invalid)), "{carried:?}");
    }
    let late = now() + OPEN_LIFETIME;
    let late = links.use_open(&token(&url), &target, late).await;
    assert!(matches!(late, Err(LinkError::Expired)), "{late:?}");
    let first = links.use_open(&token(&url), &target, now()).await;
    assert_eq!(first.unwrap(), path);
    let again = links.use_open(&token(&url), &target, now()).await;
    assert!(matches!(again, Err(LinkError::Used)), "{again:?}");
}

#[tokio::test]
async fn attack_27_open_link_does_not_outlive_the_memory_of_its_use() {
    let target = HostTarget::ide(id());
    let before = links();
    let url = before.open(&target, &LocalPath::root(), now()).unwrap();
    let first = before.use_open(&token(&url), &target, now()).await;
    assert!(first.is_ok(), "{first:?}");

    let restarted = links(); // with the same key
    let again = restarted.use_open(&token(&url), &target, now()).await;
    assert!(matches!(again, Err(LinkError::Expired)), "{again:?}");
    let url = restarted.open(&target, &LocalPath::root(), now()).unwrap();
    let first = restarted.use_open(&token(&url), &target, now()).await;
    assert!(first.is_ok(), "{first:?}");
}

#[tokio::test]
async fn links_outlive_one_rotation_of_the_key_and_not_two() {
    let links = links();
    let target = HostTarget::ide(id());
    let url = links.open(&target, &LocalPath::root(), now()).unwrap();
    links.rotate(SigningKey::from_bytes([2; 32]));
    assert!(
        links
            .verified(&token(&url), Purpose::Open, &target, now())
            .is_ok()
    );
    links.rotate(SigningKey::from_bytes([3; 32]));
    assert!(
        links
            .verified(&token(&url), Purpose::Open, &target, now())
            .is_err()
    );
}

#[tokio::test]
async fn share_stands_until_it_is_revoked_by_the_workspace_it_is_of() {
    let links = links();
    let hour = Duration::from_secs(3600);
    let wish = NewShare::new(id(), hour).of(ShareScope::Port(3000));
    let (share, url) = links.share(wish, now()).await.unwrap();
    assert_eq!(links.share_url(&share), url);
    let target = HostTarget::port(id(), 3000);
    let (_, cookie) = links.visit(&token(&url), &target, now()).await.unwrap();

    let visited = links.visited(cookie.as_bytes(), &target, now()).await;
    assert_eq!(visited.unwrap(), share);
    let elsewhere = HostTarget::port(id(), 3001);
    let visited = links.visited(cookie.as_bytes(), &elsewhere, now()).await;
    assert!(matches!(visited, Err(LinkError::Revoked)), "{visited:?}");
    let late = links.visited(cookie.as_bytes(), &target, now() + hour);
    assert!(late.await.is_err());

    let other: WorkspaceId = "blue-whale-ns35kd21".parse().unwrap();
    assert!(!links.revoke(&other, share.id).await.unwrap());
    assert!(links.revoke(&id(), share.id).await.unwrap());
    assert!(!links.revoke(&id(), share.id).await.unwrap());
    for answer in [
        links.visit(&token(&url), &target, now()).await.map(drop),
        links
            .visited(cookie.as_bytes(), &target, now())
            .await
            .map(drop),
    ] {
        assert!(matches!(answer, Err(LinkError::Revoked)), "{answer:?}");
    }
}

#[tokio::test]
async fn listing_leaves_out_what_has_expired() {
    let links = links();
    for seconds in [10, 20] {
        let wish = NewShare::new(id(), Duration::from_secs(seconds));
        links.share(wish, now()).await.unwrap();
    }
    let later = now() + Duration::from_secs(15);
    assert_eq!(links.shares(&id(), later).await.unwrap().len(), 1);
    assert_eq!(links.revoke_all(&id()).await.unwrap(), 2);
}

#[test]
fn attack_24_urls_and_keys_are_not_printed() {
    let links = links();
    let url = links.open(&HostTarget::ide(id()), &LocalPath::root(), now());
    assert_eq!(format!("{:?}", url.unwrap()), "***");
    assert!(!format!("{links:?}").contains("key"));
}
