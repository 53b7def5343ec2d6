//! Hostnames.

use std::iter;

use gitpod_routing::{
    Endpoint, HostError, HostName, HostPattern, HostTarget, SiblingPattern, WorkspaceId,
};

/// A host that is read is written back the same, but for letter case, one dot at
/// its end, and `:port`.
pub fn host(data: &[u8]) {
    let (Ok(text), Some(pattern)) = (str::from_utf8(data), pattern()) else {
        return;
    };
    if let Ok(name) = pattern.parse(text) {
        let built = pattern.build(&name);
        let lower = text.to_ascii_lowercase();
        let rest = lower.strip_prefix(&*built);
        let rest = rest.map(|rest| rest.strip_prefix('.').unwrap_or(rest));
        assert!(
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(':')),
            "{text:?} was read as {built:?}"
        );
        assert_eq!(pattern.parse(&built), Ok(name));
    }
    read_as_a_sibling(&pattern, text);
    read_as_a_path(&pattern, text);
}

/// A pattern that also knows sibling domains reads no own host differently.
fn read_as_a_sibling(pattern: &HostPattern, text: &str) {
    let Ok(siblings) = SiblingPattern::new("ws*.example.com") else {
        return;
    };
    let wider = pattern.clone().with_siblings(siblings);
    match pattern.parse(text) {
        Err(HostError::OtherDomain) => {
            let _ = wider.parse(text);
        }
        narrow => assert_eq!(wider.parse(text), narrow, "{text:?}"),
    }
}

fn read_as_a_path(pattern: &HostPattern, text: &str) {
    if let Ok((target, rest)) = pattern.parse_foreign_path(text) {
        assert!(
            rest.starts_with('/') && text.ends_with(rest),
            "{text:?} {rest:?}"
        );
        assert!(
            text.contains(target.workspace.as_str()),
            "{text:?} {target:?}"
        );
    }
}

/// A target that is written as a host is read back.
pub fn host_round_trip(data: &[u8]) {
    let (Some(name), Some(pattern)) = (name_of(data), pattern()) else {
        return;
    };
    let built = pattern.build(&name);
    assert!(built.len() <= 253, "{built}");
    assert!(built.split('.').all(|label| label.len() <= 63), "{built}");
    let port = match &name {
        HostName::Workspace(target) => target.endpoint,
        _ => Endpoint::Ide,
    };
    match port {
        // Can be named by a type, but is no port.
        Endpoint::Port(0) => assert_eq!(pattern.parse(&built), Err(HostError::BadLabel)),
        _ => assert_eq!(pattern.parse(&built.to_uppercase()), Ok(name), "{built}"),
    }
}

fn name_of(data: &[u8]) -> Option<HostName> {
    let ([kind, port @ ..], letters) = data.split_first_chunk::<3>()?;
    if kind & 8 != 0 {
        let label: String = letters
            .iter()
            .take(60)
            .map(|byte| pick(HASH, *byte))
            .collect();
        return (!label.is_empty()).then(|| HostName::Foreign(label.into()));
    }
    let id = workspace_id(*kind, letters)?;
    let target = match kind & 1 {
        0 => HostTarget::ide(id),
        _ => HostTarget::port(id, u16::from_be_bytes(*port)),
    };
    let target = match kind & 2 {
        0 => target,
        _ => target.in_debug_workspace(),
    };
    Some(HostName::Workspace(target))
}

/// An id of one of its two forms, of letters chosen by `letters`.
fn workspace_id(kind: u8, letters: &[u8]) -> Option<WorkspaceId> {
    let (lengths, letters) = letters.split_first_chunk::<3>()?;
    let [first, second, third] = lengths.map(usize::from);
    let (alphabet, parts) = match kind & 4 {
        0 => (WORD, vec![2 + first % 15, 2 + second % 15, 8 + third % 4]),
        _ => (HEX, vec![8, 4, 4, 4, 12]),
    };
    let mut letters = letters.iter().copied().chain(iter::repeat(0));
    let mut word = |length| -> String {
        let letters = letters.by_ref().take(length);
        letters.map(|byte| pick(alphabet, byte)).collect()
    };
    let words: Vec<String> = parts.into_iter().map(&mut word).collect();
    let id = words.join("-").parse();
    assert!(id.is_ok(), "{words:?} is no id");
    id.ok()
}

fn pick(alphabet: &str, byte: u8) -> char {
    let mut letters = alphabet.chars().cycle();
    letters
        .nth(usize::from(byte) % alphabet.len())
        .unwrap_or('0')
}

fn pattern() -> Option<HostPattern> {
    HostPattern::new("ws.example.com").ok()
}

const HEX: &str = "0123456789abcdef";
const HASH: &str = "0123456789abcdefghijklmnopqrstuv";
const WORD: &str = "0123456789abcdefghijklmnopqrstuvwxyz";
