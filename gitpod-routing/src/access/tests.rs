use http::{HeaderMap, HeaderValue};

use super::*;
use crate::info::PortInfo;
use crate::secret::OwnerToken;

const OWNER_COOKIE: &str = "_example_com_ws_i-1_owner_";

fn info() -> WorkspaceInfo {
    let id = "pink-panda-ns35kd21".parse().unwrap();
    WorkspaceInfo::new(id, "i-1".parse().unwrap(), OwnerToken::new("s3cret+"))
        .with_ports(vec![PortInfo::new(8080).public(), PortInfo::new(8081)])
}

fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in fields {
        map.append(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    map
}

fn verdict(
    info: &WorkspaceInfo,
    endpoint: Endpoint,
    headers: &HeaderMap,
) -> Result<Access, Denied> {
    let names = CookieNames::new("example.com:8080");
    decide(
        info,
        endpoint,
        &Presented::find(headers, &names, &info.instance),
    )
}

#[test]
fn token_opens_everything_and_its_absence_only_what_is_public() {
    let header = |token| headers(&[("x-gitpod-owner-token", token)]);
    let cookie = |value: &str| headers(&[("cookie", &format!("a=1; {OWNER_COOKIE}={value}"))]);
    let cases = [
        (Endpoint::Ide, header("s3cret+"), Ok(Access::Owner)),
        (Endpoint::Ide, header("s3cret%2B"), Ok(Access::Owner)),
        (Endpoint::Ide, cookie("s3cret+"), Ok(Access::Owner)),
        (Endpoint::Ide, cookie("\"s3cret+\""), Ok(Access::Owner)),
        (Endpoint::Port(8081), cookie("s3cret+"), Ok(Access::Owner)),
        (
            Endpoint::Port(8080),
            HeaderMap::new(),
            Ok(Access::Anonymous),
        ),
        (Endpoint::Port(8080), header("%zz"), Ok(Access::Anonymous)),
        (Endpoint::Port(8081), HeaderMap::new(), Err(Denied::NoToken)),
        (Endpoint::Port(9999), HeaderMap::new(), Err(Denied::NoToken)),
        (Endpoint::Ide, HeaderMap::new(), Err(Denied::NoToken)),
        (Endpoint::Ide, header(""), Err(Denied::NoToken)),
        (Endpoint::Ide, header("%zz"), Err(Denied::UndecodableToken)),
        (Endpoint::Ide, header("s3cret"), Err(Denied::WrongToken)),
        (Endpoint::Ide, cookie("s3cret"), Err(Denied::WrongToken)),
    ];
    for (endpoint, headers, expected) in cases {
        assert_eq!(
            verdict(&info(), endpoint, &headers),
            expected,
            "{headers:?}"
        );
    }
}

#[test]
fn header_goes_before_cookie_even_if_it_is_wrong() {
    let owner = format!("{OWNER_COOKIE}=s3cret+");
    let both = headers(&[("cookie", &owner), ("x-gitpod-owner-token", "bad")]);
    assert_eq!(
        verdict(&info(), Endpoint::Ide, &both),
        Err(Denied::WrongToken)
    );
}

#[test]
fn cookie_of_another_run_or_installation_is_no_token() {
    for name in ["_example_com_ws_i-2_owner_", "_example_org_ws_i-1_owner_"] {
        let other = headers(&[("cookie", &format!("{name}=s3cret+"))]);
        assert_eq!(
            verdict(&info(), Endpoint::Ide, &other),
            Err(Denied::NoToken)
        );
    }
}

#[test]
fn attack_25_cookie_that_a_sibling_adds_does_not_lock_the_owner_out() {
    let line = |values: &[&str]| {
        let cookies: Vec<String> = values
            .iter()
            .map(|v| format!("{OWNER_COOKIE}={v}"))
            .collect();
        headers(&[("cookie", &cookies.join("; "))])
    };
    let cases = [
        (line(&["bad", "s3cret+"]), Ok(Access::Owner)),
        (line(&["", "%zz", "bad", "s3cret%2B"]), Ok(Access::Owner)),
        (line(&["s3cret+", "bad"]), Ok(Access::Owner)),
        (line(&["bad", "%zz"]), Err(Denied::WrongToken)),
        (line(&["%zz", "bad"]), Err(Denied::UndecodableToken)),
        (line(&["", ""]), Err(Denied::NoToken)),
    ];
    for (headers, expected) in cases {
        assert_eq!(
            verdict(&info(), Endpoint::Ide, &headers),
            expected,
            "{headers:?}"
        );
    }
    let mut lines = line(&["bad"]);
    lines.append("cookie", format!("{OWNER_COOKIE}=s3cret+").parse().unwrap());
    assert_eq!(verdict(&info(), Endpoint::Ide, &lines), Ok(Access::Owner));
}

#[test]
fn workspace_without_a_token_yet_admits_nobody() {
    let mut info = info();
    info.owner_token = OwnerToken::new("");
    for value in ["", "x"] {
        let cookie = headers(&[("cookie", &format!("{OWNER_COOKIE}={value}"))]);
        assert!(verdict(&info, Endpoint::Ide, &cookie).is_err(), "{value:?}");
    }
}

#[test]
fn presented_token_is_not_shown() {
    let map = headers(&[("x-gitpod-owner-token", "s3cret+")]);
    let names = CookieNames::new("example.com");
    let presented = Presented::find(&map, &names, &info().instance);
    assert_eq!(format!("{presented:?}"), "Presented(Header)");
}

#[test]
fn our_cookies_are_kept_back_and_others_pass_byte_for_byte() {
    let cases = [
        ("a=1; b=2", Some("a=1; b=2")),
        ("_example_com_ws_i-9_owner_=x; a=1", Some("a=1")),
        ("__Host-_example_com_jwt2_=x", None),
        ("__Secure-_example_com_x=1; a=1", Some("a=1")),
        (
            "_example_com=1; x_example_com_=1",
            Some("_example_com=1; x_example_com_=1"),
        ),
        (
            ";a={\"j\": \"é\\\"}; =v;; b",
            Some("a={\"j\": \"é\\\"}; =v; b"),
        ),
        ("_example_com_ =1;a=1", Some("a=1")), // a blank before `=` hides nothing
    ];
    let names = CookieNames::new("example.com");
    for (line, expected) in cases {
        let line = HeaderValue::from_bytes(line.as_bytes()).unwrap();
        let got = names.filter([&line]);
        assert_eq!(
            got.as_ref().map(HeaderValue::as_bytes),
            expected.map(str::as_bytes)
        );
    }
}

#[test]
fn names_are_built_from_the_host_without_its_port() {
    let names = CookieNames::new("a--b.com:8080");
    let instance = "i-1".parse().unwrap();
    assert_eq!(names.owner_cookie(&instance), "_a__b_com_ws_i-1_owner_");
    assert_eq!(names.session_cookie(), "__Host-_a_b_com_jwt2_");
    assert!(names.is_ours(b"__Host-_a_b_com_jwt2_"));
    assert!(names.is_owner_cookie(b"_a__b_com_ws_i-1_owner_", &instance));
}

#[test]
fn owner_cookie_may_have_a_name_of_the_installations_own() {
    let names = CookieNames::new("example.com").with_owner_cookie("owner");
    let info = info();
    let shown = |line: &str| {
        let headers = headers(&[("cookie", line)]);
        let presented = Presented::find(&headers, &names, &info.instance);
        decide(&info, Endpoint::Ide, &presented)
    };
    assert_eq!(shown("a=1; owner=s3cret+"), Ok(Access::Owner));
    assert_eq!(shown("owner=else"), Err(Denied::WrongToken));
    assert_eq!(shown("owners=s3cret+"), Err(Denied::NoToken));
    let usual = CookieNames::new("example.com").owner_cookie(&info.instance);
    assert_eq!(shown(&format!("{usual}=s3cret+")), Err(Denied::NoToken));

    let line = HeaderValue::from_static("owner=x; owners=1; _example_com_ws_i-9_owner_=x");
    let kept = names.filter([&line]);
    assert_eq!(kept, Some(HeaderValue::from_static("owners=1")));
    assert_eq!(names.owner_cookie(&info.instance), "owner");
}
