//! From the listener in the clear to the one over TLS.

use bytes::Bytes;
use gitpod_routing::{HostPattern, HostSource};
use http::header::LOCATION;
use http::request::Parts;
use http::{HeaderValue, Response, StatusCode};
use http_body_util::Full;

/// Sends whoever asks for a host of ours to the same path over TLS, at `port`: 307, so that a request keeps
/// its method and body. Others get 404: nobody's link is made to look like ours.
pub fn to_tls(pattern: &HostPattern, port: u16, parts: &Parts) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::NOT_FOUND;
    let Ok(host) = HostSource::new().host_of(parts) else {
        *response.status_mut() = StatusCode::BAD_REQUEST;
        return response;
    };
    if pattern.parse(host).is_err() {
        return response;
    }
    let name = host.split(':').next().unwrap_or_default();
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let location = match port {
        443 => format!("https://{name}{path}"),
        port => format!("https://{name}:{port}{path}"),
    };
    if let Ok(location) = HeaderValue::try_from(location) {
        *response.status_mut() = StatusCode::TEMPORARY_REDIRECT;
        response.headers_mut().insert(LOCATION, location);
    }
    response
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
