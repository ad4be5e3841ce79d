//! Paths that Go's HTTP server sends elsewhere before anybody looks at them: it follows dots and
//! takes doubled slashes for one.

use http::{HeaderValue, Method, Response, StatusCode, Uri, header};
use tonic::body::Body;

use super::respond;

/// The answer to a request for a path that is written otherwise, if `uri`'s is.
#[must_use]
pub fn elsewhere(method: &Method, uri: &Uri) -> Option<Response<Body>> {
    let path = uri.path();
    let clean = match path {
        "/v3" => "/v3/".to_owned(),
        _ => clean(path),
    };
    if clean == path {
        return None;
    }
    let query = uri.query().map(|query| format!("?{query}"));
    let location = clean + &query.unwrap_or_default();
    let header = HeaderValue::from_str(&location).ok()?;
    let mut response = match *method {
        Method::GET | Method::HEAD => page(&location),
        _ => Response::new(Body::empty()),
    };
    *response.status_mut() = StatusCode::TEMPORARY_REDIRECT;
    response.headers_mut().insert(header::LOCATION, header);
    Some(response)
}

/// For people.
fn page(location: &str) -> Response<Body> {
    let location = location.replace('&', "&amp;").replace('"', "&#34;");
    let location = location.replace('<', "&lt;").replace('>', "&gt;");
    let text = format!("<a href=\"{location}\">Temporary Redirect</a>.\n\n");
    respond(StatusCode::OK, "text/html; charset=utf-8", text)
}

fn clean(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    let slash = if path.ends_with('/') && !parts.is_empty() {
        "/"
    } else {
        ""
    };
    format!("/{}{slash}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn location(uri: &'static str) -> Option<HeaderValue> {
        let mut response = elsewhere(&Method::POST, &Uri::from_static(uri))?;
        assert_eq!(response.status(), StatusCode::TEMPORARY_REDIRECT);
        response.headers_mut().remove(header::LOCATION)
    }

    #[test]
    fn crooked_paths_are_straightened() {
        for (crooked, straight) in [
            ("//v3/kv/range", "/v3/kv/range"),
            ("/v3//kv/range?a=b", "/v3/kv/range?a=b"),
            ("/v3/./kv/x/../range", "/v3/kv/range"),
            ("/../../version", "/version"),
            ("/v3", "/v3/"),
            ("/a//b/", "/a/b/"),
        ] {
            assert_eq!(location(crooked).unwrap(), straight, "{crooked}");
        }
        for straight in [
            "/",
            "/v3/",
            "/v3/kv/range",
            "/version",
            "/v3/kv/range?a=//b",
            "/.a/..b",
        ] {
            assert_eq!(location(straight), None, "{straight}");
        }
    }
}
