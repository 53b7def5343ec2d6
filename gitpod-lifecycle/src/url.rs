//! Templates of the URLs under which workspaces are reached.

use std::str::FromStr;

/// A URL with fields: `https://{{ .Prefix }}.ws.example.com`.
///
/// | field | stands for |
/// |---|---|
/// | `.ID` | name of the instance |
/// | `.Prefix` | name of the workspace |
/// | `.Host` | URL of the installation |
/// | `.WorkspacePort`, `.IngressPort` | the port, in URLs of ports |
///
/// Blanks inside the braces do not matter. What else Go templates can do is
/// refused when the template is read, so that rendering cannot fail. Values are
/// taken as they are (the reference system escapes them for HTML; oddity Q23).
///
/// **Source:** manager specification, section 7.6.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UrlTemplate(Vec<Piece>);

#[derive(Clone, Debug, Eq, PartialEq)]
enum Piece {
    Text(String),
    Id,
    Prefix,
    Host,
    Port,
}

/// Values for the fields of a [`UrlTemplate`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct UrlFields<'a> {
    pub(crate) id: &'a str,
    pub(crate) prefix: &'a str,
    pub(crate) host: &'a str,
    pub(crate) port: Option<u16>,
}

impl UrlTemplate {
    /// The URL of workspace `prefix`, running as instance `id`, at `host`.
    #[must_use]
    pub fn of_workspace(&self, id: &str, prefix: &str, host: &str) -> String {
        self.render(UrlFields {
            id,
            prefix,
            host,
            port: None,
        })
    }

    /// The URL of port `port` of that workspace.
    #[must_use]
    pub fn of_port(&self, id: &str, prefix: &str, host: &str, port: u16) -> String {
        self.render(UrlFields {
            id,
            prefix,
            host,
            port: Some(port),
        })
    }

    /// Whether it has a field that only URLs of ports have.
    #[must_use]
    pub fn needs_port(&self) -> bool {
        self.0.contains(&Piece::Port)
    }

    fn render(&self, fields: UrlFields<'_>) -> String {
        let port = fields.port.map(|port| port.to_string()).unwrap_or_default();
        let texts = self.0.iter().map(|piece| match piece {
            Piece::Text(text) => text,
            Piece::Id => fields.id,
            Piece::Prefix => fields.prefix,
            Piece::Host => fields.host,
            Piece::Port => &port,
        });
        texts.collect()
    }
}

impl FromStr for UrlTemplate {
    type Err = UrlTemplateError;

    fn from_str(mut text: &str) -> Result<Self, Self::Err> {
        let mut pieces = Vec::new();
        while let Some((before, rest)) = text.split_once("{{") {
            let (field, after) = rest.split_once("}}").ok_or(UrlTemplateError::Unclosed)?;
            if !before.is_empty() {
                pieces.push(Piece::Text(before.to_owned()));
            }
            pieces.push(piece_named(field.trim())?);
            text = after;
        }
        if !text.is_empty() {
            pieces.push(Piece::Text(text.to_owned()));
        }
        Ok(Self(pieces))
    }
}

fn piece_named(field: &str) -> Result<Piece, UrlTemplateError> {
    Ok(match field {
        ".ID" => Piece::Id,
        ".Prefix" => Piece::Prefix,
        ".Host" => Piece::Host,
        ".WorkspacePort" | ".IngressPort" => Piece::Port,
        other => return Err(UrlTemplateError::UnknownField(other.to_owned())),
    })
}

/// The text is not a URL template.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum UrlTemplateError {
    /// A `{{` has no `}}`.
    #[error("`{{{{` without `}}}}` in URL template")]
    Unclosed,
    /// What stands between the braces is not a field.
    #[error(
        "`{0}` in URL template is not one of .ID, .Prefix, .Host, .WorkspacePort, .IngressPort"
    )]
    UnknownField(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_filled_in_with_or_without_blanks() {
        let template: UrlTemplate = "{{.ID}}/{{ .Prefix}}/{{.Host }}/{{ .WorkspacePort }}"
            .parse()
            .unwrap();
        assert_eq!(template.of_port("i", "w", "h<&>", 80), "i/w/h<&>/80");
        assert!(template.needs_port());
    }

    #[test]
    fn broken_templates_are_refused_when_they_are_read() {
        let unknown = |field: &str| UrlTemplateError::UnknownField(field.to_owned());
        let cases = [
            ("{{ .ID ", UrlTemplateError::Unclosed),
            ("{{ .Nope }}", unknown(".Nope")),
            ("{{ if .ID }}", unknown("if .ID")),
            ("{{}}", unknown("")),
        ];
        for (text, why) in cases {
            assert_eq!(text.parse::<UrlTemplate>(), Err(why), "{text}");
        }
    }
}
