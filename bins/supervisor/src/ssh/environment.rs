use std::net::{IpAddr, SocketAddr};

/// The variable in which the gateway says where the client is. It lets no client say that itself.
pub(super) const CLIENT: &str = "GITPOD_SSH_CLIENT";

/// The address in `value`, `ADDRESS PORT`.
pub(super) fn client_in(value: &str) -> Option<SocketAddr> {
    let (address, port) = value.split_once(' ')?;
    let address: IpAddr = address.parse().ok()?;
    Some(SocketAddr::new(address, port.parse().ok()?))
}

/// Whether a client may set this variable of what it runs: what the gateway lets through, which limits neither values nor names.
///
/// Language, time zone and looks, as OpenSSH does in most distributions, and the version of git's protocol. Nothing that makes a
/// program load or run something: whoever controls a variable need not be who controls the command.
pub(super) fn may_set(name: &str, value: &str) -> bool {
    let known = ALLOWED.contains(&name) || name.strip_prefix("LC_").is_some_and(is_word);
    let good = name != "TERM" || is_terminal_name(value);
    known && good && value.len() <= LONGEST_VALUE && !value.contains('\0')
}

const ALLOWED: [&str; 9] = [
    "COLORTERM",
    "GIT_PROTOCOL",
    "LANG",
    "LANGUAGE",
    "NO_COLOR",
    "TERM",
    "TERM_PROGRAM",
    "TERM_PROGRAM_VERSION",
    "TZ",
];
const LONGEST_VALUE: usize = 4096;
pub(super) const MOST_VARIABLES: usize = 64;

fn is_word(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    (1..=64).contains(&text.len()) && text.bytes().all(plain)
}

/// Whether this can be the name of a kind of terminal.
pub(super) fn is_terminal_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-+._".contains(&byte);
    (1..=64).contains(&name.len()) && name.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attack_43_variables_that_load_or_run_something_are_refused() {
        for name in [
            "LD_PRELOAD",
            "LD_LIBRARY_PATH",
            "LD_AUDIT",
            "BASH_ENV",
            "ENV",
            "PATH",
            "HOME",
            "SHELL",
            "IFS",
            "PS4",
            "PROMPT_COMMAND",
            "SHELLOPTS",
            "BASHOPTS",
            "BASH_FUNC_x%%",
            "GIT_SSH_COMMAND",
            "GIT_EXEC_PATH",
            "PYTHONPATH",
            "PERL5OPT",
            "NODE_OPTIONS",
            "SSH_AUTH_SOCK",
            "GITPOD_INSTANCE_DIR",
            "VSCODE_GIT_ASKPASS_NODE",
            "LC_",
            "LC_A=B",
            "LC_A\0B",
            "",
            "lang",
        ] {
            assert!(!may_set(name, "x"), "{name:?}");
        }
    }

    #[test]
    fn language_and_looks_may_be_set() {
        for name in [
            "LANG",
            "LC_ALL",
            "LC_TERMINAL_VERSION",
            "TZ",
            "GIT_PROTOCOL",
        ] {
            assert!(may_set(name, "x"), "{name}");
        }
        assert!(!may_set("LANG", "a\0b"));
        assert!(!may_set("LANG", &"x".repeat(LONGEST_VALUE + 1)));
    }

    #[test]
    fn variables_are_those_that_the_gateway_lets_through() {
        assert_eq!(ALLOWED, gitpod_sshgw::UsualChannels::VARIABLES);
    }

    #[test]
    fn client_is_an_address_and_a_port_or_not_known() {
        for (value, expected) in [
            ("192.0.2.7 4711", Some("192.0.2.7:4711")),
            ("2001:db8::7 4711", Some("[2001:db8::7]:4711")),
            ("192.0.2.7", None),
            ("192.0.2.7 4711 22", None),
            ("192.0.2.7 65536", None),
            ("$(id) 1", None),
            ("", None),
        ] {
            let found = client_in(value).map(|it| it.to_string());
            assert_eq!(found.as_deref(), expected, "{value:?}");
        }
    }

    #[test]
    fn names_of_terminals_are_plain() {
        assert!(is_terminal_name("xterm-256color") && is_terminal_name("screen.xterm+x"));
        for name in ["", "x y", "../x", "x\0", &"x".repeat(65)] {
            assert!(!is_terminal_name(name), "{name:?}");
        }
    }
}
