use http::HeaderValue;

use super::*;
use crate::access::Denied;
use crate::info::RunState;
use crate::refusal::{BadRequest, Limit, LinkRefused, Unanswered};
use crate::service::WorkspaceService;

fn format_of(accept: &str) -> Format {
    Format::preferred([&HeaderValue::from_str(accept).unwrap()])
}

#[test]
fn form_follows_accept() {
    let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
    let cases = [
        (browser, Format::Html),
        ("application/json", Format::Json),
        ("application/json, text/plain, */*", Format::Json),
        ("*/*", Format::Text),
        ("image/webp", Format::Text),
        ("text/html;q=0.5, application/json", Format::Json),
        ("text/html;q=0, */*;q=0.1", Format::Text),
        ("text/html;q=x", Format::Html),
        ("", Format::Text),
    ];
    for (accept, expected) in cases {
        assert_eq!(format_of(accept), expected, "{accept}");
    }
    assert_eq!(Format::preferred([]), Format::Text);
}

fn every_refusal() -> Vec<Refusal> {
    let services = [
        WorkspaceService::Ide,
        WorkspaceService::Supervisor,
        WorkspaceService::Port(3000),
    ];
    let denied = [
        Denied::NoToken,
        Denied::UndecodableToken,
        Denied::WrongToken,
        Denied::ForeignOrigin,
        Denied::UncheckedShare,
    ];
    let links = [
        LinkRefused::Invalid,
        LinkRefused::Expired,
        LinkRefused::Used,
        LinkRefused::Revoked,
        LinkRefused::NotChecked,
        LinkRefused::NotNavigated,
    ];
    let states = [RunState::Starting, RunState::Stopping, RunState::Stopped];
    let not_woken = [
        NotWoken::QueueFull,
        NotWoken::BodyTooLong,
        NotWoken::TimedOut,
        NotWoken::Stopped,
        NotWoken::Gone,
        NotWoken::Failed,
    ];
    let mut all = vec![
        Refusal::BadRequest(BadRequest::UnclearHost),
        Refusal::Misdirected,
        Refusal::NoSuchWorkspace,
        Refusal::StageLost,
        Refusal::UnknownHost(crate::host::HostError::BadLabel),
    ];
    all.extend(services.map(|service| Refusal::NotListening(Unanswered::new(service))));
    all.extend(services.map(|service| Refusal::NotListeningYet(Unanswered::new(service))));
    all.extend(services.map(|service| Refusal::Unreachable(Unanswered::new(service))));
    all.extend(denied.map(Refusal::Denied));
    all.extend(links.map(Refusal::Link));
    all.extend([Limit::Head, Limit::BodyIdle, Limit::Upgrades].map(Refusal::OverLimit));
    all.extend(not_woken.map(Refusal::NotWoken));
    all.extend(states.map(Refusal::NotRunning));
    all
}

#[test]
fn every_refusal_is_readable_json_that_names_its_reason() {
    for refusal in every_refusal() {
        let page = BuiltInPages::new().page(&refusal, Format::Json);
        let json: serde_json::Value = serde_json::from_slice(&page.body).unwrap();
        assert_eq!(json["reason"], refusal.reason());
        assert_eq!(json["status"], refusal.status().as_u16());
        assert!(!json["detail"].as_str().unwrap().is_empty());
    }
}

#[test]
fn page_of_a_closed_port_says_how_to_open_it() {
    let refusal = Refusal::NotListening(Unanswered::new(WorkspaceService::Port(3000)));
    for format in [Format::Html, Format::Text] {
        let page = BuiltInPages::new().page(&refusal, format);
        let text = str::from_utf8(&page.body).unwrap();
        assert!(text.contains("Port 3000 is not open"), "{text}");
        assert!(text.contains("python3 -m http.server 3000"), "{text}");
    }
}

#[test]
fn only_the_owner_of_a_stopped_workspace_is_led_to_where_it_can_be_started() {
    let pages = BuiltInPages::new().with_start_url(|id| format!("https://example.com/#{id}"));
    let stopped = Refusal::NotRunning(RunState::Stopped);
    let failed = Refusal::NotWoken(NotWoken::Failed);
    let starting = Refusal::NotRunning(RunState::Starting);
    let cases = [
        (&stopped, Access::Owner, true),
        (&failed, Access::Owner, true),
        (&stopped, Access::Anonymous, false),
        (&starting, Access::Owner, false),
    ];
    for (refusal, access, expected) in cases {
        let to = RefusedTo::new("pink-panda-ns35kd21".parse().unwrap(), access);
        for format in [Format::Html, Format::Json, Format::Text] {
            let page = pages.page_for(refusal, format, &to);
            let text = str::from_utf8(&page.body).unwrap();
            let is_led = text.contains("https://example.com/#pink-panda-ns35kd21");
            assert_eq!(is_led, expected, "{refusal} {access:?} {format:?}: {text}");
            if format == Format::Json {
                serde_json::from_str::<serde_json::Value>(text).unwrap();
            }
        }
    }
}

#[test]
fn who_is_denied_access_is_told_which_way_the_owner_takes() {
    let pages = BuiltInPages::new().with_way_in(|id, port| {
        let port = port.map_or(String::new(), |port| format!("/{port}"));
        WayIn::new(
            format!("https://example.com/{id}{port}"),
            format!("open {id}"),
        )
    });
    let id: WorkspaceId = "pink-panda-ns35kd21".parse().unwrap();
    let editor = RefusedTo::nobody(&HostTarget::ide(id.clone()));
    let port = RefusedTo::nobody(&HostTarget::port(id, 3000));
    let led = [Denied::NoToken, Denied::WrongToken];
    for why in [Denied::NoToken, Denied::WrongToken, Denied::ForeignOrigin] {
        for (to, end) in [(&editor, ""), (&port, "/3000")] {
            for format in [Format::Html, Format::Json, Format::Text] {
                let page = pages.page_for(&Refusal::Denied(why), format, to);
                let text = str::from_utf8(&page.body).unwrap();
                let is_led = text.contains("open pink-panda-ns35kd21")
                    && text.contains(&format!("https://example.com/pink-panda-ns35kd21{end}"));
                assert_eq!(is_led, led.contains(&why), "{why} {format:?}: {text}");
                if format == Format::Json {
                    serde_json::from_str::<serde_json::Value>(text).unwrap();
                }
            }
        }
    }
}

#[test]
fn server_that_answers_nonsense_is_not_told_to_be_absent() {
    let refusal = Refusal::Unreachable(Unanswered::new(WorkspaceService::Port(3000)));
    for format in [Format::Html, Format::Json, Format::Text] {
        let page = BuiltInPages::new().page(&refusal, format);
        let text = str::from_utf8(&page.body).unwrap();
        assert!(!text.contains("not open"), "{text}");
        assert!(text.contains("listens on port 3000"), "{text}");
    }
}

#[test]
fn attack_28_start_url_that_is_no_web_address_is_left_out() {
    let pages = BuiltInPages::new().with_start_url(|_| "javascript:alert(1)".into());
    let to = RefusedTo::new("pink-panda-ns35kd21".parse().unwrap(), Access::Owner);
    let stopped = Refusal::NotRunning(RunState::Stopped);
    let page = pages.page_for(&stopped, Format::Html, &to);
    assert!(!str::from_utf8(&page.body).unwrap().contains("javascript"));
}
