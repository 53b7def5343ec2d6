//! Who is known as the owner of a workspace that was started because she came.

use std::path::Path;

use crate::harness::{Up, gitpod};
use crate::wake::Asleep;

impl Asleep {
    fn status_by(&self, header: (&str, &str)) -> u16 {
        let answer = self.send("GET", &[header], b"");
        answer.status()
    }
}

/// As people ask, who look at a page instead of waiting.
const PAGE: (&str, &str) = ("accept", "text/html");

#[test]
fn owner_who_has_woken_it_is_known_by_what_she_has_whatever_happens_to_up() {
    let mut asleep = Asleep::new(&[]);
    let (cookie, token) = (asleep.cookie(), asleep.workspace.token().to_owned());
    let cookie = ("cookie", cookie.as_str());
    let token = ("x-gitpod-owner-token", token.as_str());
    assert_eq!(asleep.status_by(token), 200);

    asleep.up = Up::at(asleep.up.kill(), &[]);
    assert_eq!(asleep.status_by(token), 200);
    assert_eq!(asleep.status_by(cookie), 200);
    let before = asleep.up.replaced_by(&mut gitpod(), &[]);
    assert_eq!(asleep.status_by(token), 200);
    assert_eq!(asleep.status_by(cookie), 200);
    before.finished();
    // Her tokens stop counting when she starts it herself.
    let id = asleep.workspace.id().to_owned();
    assert!(asleep.up.run(&["stop", "--now", &id]).status.success());
    assert!(asleep.up.run(&["start", &id]).status.success());
    assert_eq!(asleep.status_by(token), 403);
    asleep.up = Up::at(asleep.up.kill(), &[]);
    assert_eq!(asleep.status_by(token), 403);
}

#[test]
fn start_that_failed_costs_neither_owner_nor_guests_their_access() {
    let mut asleep = Asleep::with(&[], &["--wake", "anyone"], ":", "public");
    let (cookie, token) = (asleep.cookie(), asleep.workspace.token().to_owned());
    let cookie = ("cookie", cookie.as_str());
    let token = ("x-gitpod-owner-token", token.as_str());
    let id = asleep.workspace.id().to_owned();
    let visibility = |up: &Up| up.json(&["ports", &id, "-o", "json"])[0]["visibility"].clone();
    let guest = ("accept", "*/*");
    let content = asleep.up.describe(&id)["content"]["path"].clone();
    let content = Path::new(content.as_str().unwrap());
    let away = asleep.up.dir.path().join("away");
    std::fs::rename(content, &away).unwrap();
    std::fs::write(content, "no directory").unwrap();
    assert_eq!(asleep.status_by(guest), 503);
    assert_eq!(visibility(&asleep.up), "public");

    // Which forgets that a start has just failed. A port that is public is no secret, ever.
    asleep.up = Up::at(asleep.up.kill(), &[]);
    assert_eq!(visibility(&asleep.up), "public");
    assert_eq!(asleep.status_by(guest), 503);
    asleep.up = Up::at(asleep.up.kill(), &[]);
    std::fs::remove_file(content).unwrap();
    std::fs::rename(&away, content).unwrap();
    assert_eq!(asleep.status_by(guest), 200);
    // That nobody serves a private port yet, its owner alone learns.
    for who in [token, cookie] {
        let answer = asleep
            .up
            .request(&asleep.workspace.host(1), "/_", &[who, PAGE]);
        let said = answer.body().contains("Port 1 is not open yet");
        assert!(said, "{who:?}: {}", answer.0);
    }
}
