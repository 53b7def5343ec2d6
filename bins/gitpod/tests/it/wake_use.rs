//! What is no use of a workspace starts none, and who waits for a port is counted.

use crate::harness::Response;
use crate::wake::Asleep;

impl Asleep {
    fn ask_supervisor(&self, path: &str) -> Response {
        let token = [("x-gitpod-owner-token", self.workspace.token())];
        self.up.request(&self.workspace.ide_host(), path, &token)
    }
}

#[test]
fn attack_33_whoever_only_looks_how_it_is_starts_nothing() {
    let asleep = Asleep::new(&[]);
    for path in [
        "/_supervisor/v1/status/supervisor",
        "/%5fsupervisor/v1/status/ports",
        "//_supervisor/v1/status/ide",
    ] {
        let answer = asleep.ask_supervisor(path);
        assert_eq!(answer.status(), 503, "{path}: {}", answer.0);
    }
    let told = asleep.up.describe(asleep.workspace.id());
    assert_eq!(told["phase"], "stopped");
}

#[test]
fn attack_31_page_that_names_itself_uses_no_cookie_and_starts_nothing() {
    let asleep = Asleep::new(&[]);
    let cookie = asleep.cookie();
    let of_page = |kind| {
        let fields = [
            ("cookie", cookie.as_str()),
            ("referer", "http://evil.test/"),
            ("accept", kind),
        ];
        asleep.send("GET", &fields, b"")
    };
    for kind in ["*/*", "image/avif,image/webp,*/*;q=0.8"] {
        let answer = of_page(kind);
        assert_eq!(answer.status(), 403, "{kind}: {}", answer.0);
    }
    let told = asleep.up.describe(asleep.workspace.id());
    assert_eq!(told["phase"], "stopped");
    // What a person follows is another matter, and comes in.
    let answer = of_page("text/html,*/*;q=0.8");
    assert!([200, 503].contains(&answer.status()), "{}", answer.0);
}

#[test]
fn whoever_waits_for_a_port_has_a_place_among_those_who_wait() {
    let before = "test -e slow && OPTIONS='--after 6' || touch slow";
    let args = ["--hold-requests", "3"];
    let asleep = Asleep::with(&args, &[], before, "private");
    let token = ("x-gitpod-owner-token", asleep.workspace.token());
    let mut told: Vec<_> = std::thread::scope(|scope| {
        let ask = |_| scope.spawn(|| asleep.send("GET", &[token], b"").status());
        let first = ask(0);
        crate::harness::wait_until("it runs", || {
            asleep.up.describe(asleep.workspace.id())["phase"] == "running"
        });
        let others: Vec<_> = (0..20).map(ask).collect();
        let all = std::iter::once(first).chain(others);
        all.map(|one| one.join().unwrap()).collect()
    });
    told.sort_unstable();
    assert_eq!(told[..3], [200; 3]);
    assert_eq!(told[3..], [503; 18]);
}
