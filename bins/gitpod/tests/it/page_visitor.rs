//! A browser at the page of all workspaces.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::Value;

use crate::harness::{PATIENCE, Response, Up};

/// A browser at the page, as far as HTTP goes.
pub(crate) struct Visitor<'u> {
    pub(crate) up: &'u Up,
    pub(crate) host: String,
    pub(crate) cookie: Option<String>,
}

impl<'u> Visitor<'u> {
    /// Not signed in.
    pub(crate) fn stranger(up: &'u Up) -> Self {
        let port = up.address().rsplit_once(':').unwrap().1;
        Self {
            up,
            host: format!("localhost:{port}"),
            cookie: None,
        }
    }

    /// Signed in by a link of `gitpod open`.
    pub(crate) fn signed_in(up: &'u Up) -> Self {
        let mut visitor = Self::stranger(up);
        let answer = visitor.get(&invitation(up), &[]);
        assert_eq!(answer.status(), 303, "{}", answer.0);
        visitor.cookie = Some(cookie(&answer).split(';').next().unwrap().to_owned());
        visitor
    }

    pub(crate) fn get(&self, path: &str, headers: &[(&str, &str)]) -> Response {
        self.send("GET", path, headers, "")
    }

    /// As the page's own script does.
    pub(crate) fn post(&self, path: &str, body: &Value) -> Response {
        let origin = format!("http://{}", self.host);
        let headers = [
            ("Origin", origin.as_str()),
            ("Sec-Fetch-Site", "same-origin"),
            ("Content-Type", "application/json"),
        ];
        self.send("POST", path, &headers, &body.to_string())
    }

    pub(crate) fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Response {
        let mut head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: {}\r\n",
            self.host,
            body.len()
        );
        if let Some(cookie) = &self.cookie {
            head.push_str(&format!("Cookie: {cookie}\r\n"));
        }
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        let mut stream = TcpStream::connect(self.up.address()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
            .write_all(format!("{head}\r\n{body}").as_bytes())
            .unwrap();
        let mut text = Vec::new();
        stream.read_to_end(&mut text).unwrap();
        Response(String::from_utf8_lossy(&text).into_owned())
    }
}

/// Path of a link that signs in.
pub(crate) fn invitation(up: &Up) -> String {
    let url = up.json(&["open", "-o", "json"])["url"]
        .as_str()
        .unwrap()
        .to_owned();
    let page = up.ready["page"].as_str().unwrap();
    format!("/{}", url.strip_prefix(page).unwrap())
}

pub(crate) fn cookie(answer: &Response) -> String {
    let line = answer
        .0
        .lines()
        .find_map(|line| line.strip_prefix("set-cookie: "));
    line.unwrap_or_else(|| panic!("no cookie: {}", answer.0))
        .to_owned()
}

pub(crate) fn workspaces(up: &Up) -> usize {
    up.json(&["list", "-o", "json"]).as_array().unwrap().len()
}
