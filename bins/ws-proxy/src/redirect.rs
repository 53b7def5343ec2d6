//! From the listener in the clear to the one over TLS.

use askama::Template;
use bytes::Bytes;
use gitpod_routing::{HostError, HostPattern, HostSource};
use http::header::{CONTENT_TYPE, LOCATION};
use http::request::Parts;
use http::{HeaderValue, Method, Response, StatusCode};
use http_body_util::Full;

/// Sends whoever asks for a host of ours to the same path over TLS, at `port`: 307, so that a request keeps
/// its method and body. Others get 404: nobody's link is made to look like ours.
#[must_use]
pub fn to_tls(pattern: &HostPattern, port: u16, parts: &Parts) -> Response<Full<Bytes>> {
    let host = HostSource::new().host_of(parts);
    let known = host.and_then(|host| match pattern.parse(host) {
        // Which of our hosts there are is for the other listener to say.
        Ok(_) | Err(HostError::BadLabel) => Ok(host),
        Err(why) => Err(why),
    });
    let host = match known {
        Ok(host) => host,
        Err(why) if why.is_malformed() => return bare(StatusCode::BAD_REQUEST),
        Err(_) => return bare(StatusCode::NOT_FOUND),
    };
    let name = host.split(':').next().unwrap_or_default();
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let location = match port {
        443 => format!("https://{name}{path}"),
        port => format!("https://{name}:{port}{path}"),
    };
    redirect(&location, &parts.method)
}

fn bare(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    response
}

/// With a link for programs that do not follow it by themselves.
fn redirect(location: &str, method: &Method) -> Response<Full<Bytes>> {
    let Ok(value) = HeaderValue::try_from(location) else {
        return bare(StatusCode::BAD_REQUEST);
    };
    let mut response = bare(StatusCode::TEMPORARY_REDIRECT);
    response.headers_mut().insert(LOCATION, value);
    if let (&Method::GET, Ok(page)) = (method, Link { location }.render()) {
        let html = HeaderValue::from_static("text/html; charset=utf-8");
        response.headers_mut().insert(CONTENT_TYPE, html);
        *response.body_mut() = Full::from(page);
    }
    response
}

/// **Source:** the reference's.
#[derive(Template)]
#[template(
    source = "<a href=\"{{ location }}\">Temporary Redirect</a>.\n\n",
    ext = "html"
)]
struct Link<'a> {
    location: &'a str,
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    #[test]
    fn hosts_of_ours_are_sent_to_tls_and_others_nowhere() {
        let pattern = HostPattern::new("ws.example.com").unwrap();
        let ours = "3000-pink-panda-ns35kd21.ws.example.com";
        for (host, port, path, expected) in [
            (
                ours,
                443,
                "/a%20b?c=d",
                Some(format!("https://{ours}/a%20b?c=d")),
            ),
            (
                "pink-panda-ns35kd21.ws.example.com:8080",
                9443,
                "/",
                Some("https://pink-panda-ns35kd21.ws.example.com:9443/".to_owned()),
            ),
            ("evil.test", 443, "/", None),
            ("ws.example.com.evil.test", 443, "/", None),
        ] {
            let request = Request::get(path).header("host", host).body(()).unwrap();
            let response = to_tls(&pattern, port, &request.into_parts().0);
            let location = response.headers().get(LOCATION);
            let location = location.map(|value| value.to_str().unwrap().to_owned());
            assert_eq!(location, expected, "{host}");
        }
    }
}
