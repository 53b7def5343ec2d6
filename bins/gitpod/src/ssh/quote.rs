//! Words for programs that take them apart again.

use std::path::Path;

/// `path` as an argument in `ssh_config`: in quotes, with nothing left to expand.
///
/// # Errors
///
/// [`UnquotablePath`] if OpenSSH has no way to write it.
pub(crate) fn config_path(path: &Path) -> Result<String, UnquotablePath> {
    let refuse = || UnquotablePath(path.display().to_string());
    let text = path.to_str().ok_or_else(refuse)?;
    if text.contains(char::is_control) || text.contains("${") {
        return Err(refuse());
    }
    let mut quoted = String::from('"');
    for letter in text.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            '%' => quoted.push_str("%%"),
            _ => quoted.push(letter),
        }
    }
    quoted.push('"');
    Ok(quoted)
}

/// `path` as an argument of `Include` in `ssh_config`, which is a pattern there.
///
/// OpenSSH before 9.9 expands no `%` in it and later ones do, so each is in brackets, twice: the
/// pattern is the same before and after.
///
/// # Errors
///
/// [`UnquotablePath`] if OpenSSH has no way to write it.
pub(crate) fn include_pattern(path: &Path) -> Result<String, UnquotablePath> {
    config_path(path)?; // what it includes names the same directory
    let mut pattern = String::from('"');
    for letter in path.to_str().unwrap_or_default().chars() {
        match letter {
            '%' => pattern.push_str("[%%]"),
            '[' | '*' | '?' | '$' => pattern.extend(['[', letter, ']']),
            '\\' => pattern.push_str(r"\\\\"),
            '"' => pattern.push_str("\\\""),
            _ => pattern.push(letter),
        }
    }
    pattern.push('"');
    Ok(pattern)
}

/// `word` as a shell reads it back.
pub(crate) fn shell_word(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// OpenSSH cannot be told of a path.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} cannot be written in a configuration of OpenSSH")]
pub(crate) struct UnquotablePath(String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_quoted_for_ssh_config() {
        for (path, expected) in [
            ("/a/b", Some(r#""/a/b""#)),
            ("/with space", Some(r#""/with space""#)),
            ("/100%h", Some(r#""/100%%h""#)),
            (r#"/a"b\c"#, Some(r#""/a\"b\\c""#)),
            ("/${HOME}/x", None), // would be expanded, and cannot be escaped
            ("/a\nProxyCommand evil", None),
        ] {
            assert_eq!(config_path(Path::new(path)).ok().as_deref(), expected);
        }
    }

    #[test]
    fn included_paths_match_themselves_alone() {
        for (path, expected) in [
            ("/a/b c", Some(r#""/a/b c""#)),
            ("/100%h", Some(r#""/100[%%]h""#)),
            ("/a[b]*?$", Some(r#""/a[[]b][*][?][$]""#)),
            (r#"/a"b\c"#, Some(r#""/a\"b\\\\c""#)),
            ("/${HOME}/x", None),
            ("/a\nHost *", None),
        ] {
            let told = include_pattern(Path::new(path)).ok();
            assert_eq!(told.as_deref(), expected, "{path}");
        }
    }

    #[test]
    fn words_survive_a_shell() {
        assert_eq!(shell_word("/usr/bin/gitpod"), "/usr/bin/gitpod");
        assert_eq!(shell_word("it's 1%"), r"'it'\''s 1%'");
        assert_eq!(shell_word(""), "''");
    }
}
