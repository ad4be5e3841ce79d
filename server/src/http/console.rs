//! The web console: a page for people at `/`, and its files, from inside the binary.
//!
//! It is served to whoever says that they take HTML; to everyone else `/` is what it is in etcd,
//! nothing. The files lie below a path with the hash of them all, so browsers may keep them for
//! ever, and never mix those of two versions. A debug build reads them from `server/console` at each
//! request, so that an edit is there when the page is loaded again.
//!
//! The page has no data of its own: it asks the JSON gateway, as any client does.

use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, Uri, header};
use http_body_util::Full;
use rust_embed::Embed;
use sha2::{Digest, Sha256};
use tonic::body::Body;

/// Below this path and the version are the files.
const PLACE: &str = "/console/";
const INDEX: &str = "index.html";
/// What the page says where the version and the names of its modules belong.
const VERSION: &str = "@version@";
const MODULES: &str = "<!--@modules@-->";

/// What a page may do: load what this server has, talk to it, and nothing else.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
     connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
     require-trusted-types-for 'script'; trusted-types 'none'";

/// With every file.
const GUARDS: [(HeaderName, &str); 6] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
];

#[derive(Embed)]
#[folder = "console"]
struct Files;

/// The console's answer, if it is the console that is asked for.
#[must_use]
pub fn answer(method: &Method, uri: &Uri, headers: &HeaderMap) -> Option<Response<Body>> {
    if method != Method::GET && method != Method::HEAD {
        return None;
    }
    let file = match uri.path() {
        "/" if takes_html(headers) => index()?,
        path => versioned(path.strip_prefix(PLACE)?)?,
    };
    Some(file.respond(method, headers))
}

/// Whether somebody asked for HTML by name, as browsers do and programs don't.
fn takes_html(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).into_iter();
    let accepted = accepted.filter_map(|value| value.to_str().ok());
    let mut ranges = accepted.flat_map(|value| value.split(','));
    ranges.any(|range| {
        let kind = range.split(';').next().unwrap_or_default();
        kind.trim().eq_ignore_ascii_case("text/html")
    })
}

/// What is sent for a path.
struct File {
    bytes: Vec<u8>,
    content_type: &'static str,
    /// How long it may be kept.
    caching: &'static str,
    tag: String,
}

/// The page.
fn index() -> Option<File> {
    let page = Files::get(INDEX)?;
    let version = version();
    let text = String::from_utf8_lossy(&page.data);
    let text = text
        .replace(MODULES, &preloads())
        .replace(VERSION, &version);
    Some(File {
        bytes: text.into_bytes(),
        content_type: content_type(INDEX)?,
        caching: "no-cache",
        tag: version,
    })
}

/// Names all modules at once, so that a browser need not find one by one who imports whom.
fn preloads() -> String {
    let modules = Files::iter().filter(|name| name.ends_with(".js"));
    let links = modules
        .map(|name| format!("<link rel=\"modulepreload\" href=\"console/{VERSION}/{name}\">\n"));
    links.collect()
}

/// A file by `VERSION/NAME`.
fn versioned(path: &str) -> Option<File> {
    let (asked, name) = path.split_once('/')?;
    let version = version();
    if asked != version || name == INDEX {
        return None;
    }
    Some(File {
        content_type: content_type(name)?,
        bytes: Files::get(name)?.data.into_owned(),
        caching: "public, max-age=31536000, immutable",
        tag: version,
    })
}

/// A hash of all files and their names.
fn version() -> String {
    let mut hash = Sha256::new();
    for name in Files::iter() {
        let file = Files::get(&name).map(|file| file.metadata.sha256_hash());
        hash.update(name.as_bytes());
        hash.update(file.unwrap_or_default());
    }
    let hash = hash.finalize();
    hash.iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Files of other kinds are not served.
fn content_type(name: &str) -> Option<&'static str> {
    match name.rsplit_once('.')?.1 {
        "html" => Some("text/html; charset=utf-8"),
        "css" => Some("text/css; charset=utf-8"),
        "js" => Some("text/javascript; charset=utf-8"),
        "svg" => Some("image/svg+xml"),
        _ => None,
    }
}

impl File {
    fn respond(self, method: &Method, asked: &HeaderMap) -> Response<Body> {
        let tag = format!("\"{}\"", self.tag);
        let known = is_known(asked, &tag);
        let length = self.bytes.len();
        let body = if known || method == Method::HEAD {
            Body::empty()
        } else {
            Body::new(Full::from(self.bytes))
        };
        let mut response = Response::new(body);
        let headers = response.headers_mut();
        for (name, value) in GUARDS {
            headers.insert(name, HeaderValue::from_static(value));
        }
        headers.insert(
            header::CACHE_CONTROL,
            HeaderValue::from_static(self.caching),
        );
        headers.insert(header::VARY, HeaderValue::from_static("accept"));
        if let Ok(tag) = HeaderValue::try_from(tag) {
            headers.insert(header::ETAG, tag);
        }
        if known {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            return response;
        }
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static(self.content_type),
        );
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        response
    }
}

/// Whether the browser has it already.
fn is_known(asked: &HeaderMap, tag: &str) -> bool {
    let known = asked.get_all(header::IF_NONE_MATCH).into_iter();
    let known = known.filter_map(|value| value.to_str().ok());
    let mut tags = known.flat_map(|value| value.split(',')).map(str::trim);
    tags.any(|known| known == "*" || known.trim_start_matches("W/") == tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask<const N: usize>(
        method: Method,
        path: &str,
        headers: [(HeaderName, &'static str); N],
    ) -> Option<Response<Body>> {
        let headers: HeaderMap = headers
            .into_iter()
            .map(|(name, value)| (name, HeaderValue::from_static(value)))
            .collect();
        answer(&method, &path.parse().unwrap(), &headers)
    }

    fn status(method: Method, path: &str, accept: &'static str) -> Option<u16> {
        let response = ask(method, path, [(header::ACCEPT, accept)])?;
        Some(response.status().as_u16())
    }

    #[test]
    fn only_browsers_see_it() {
        let browser = "text/html,application/xhtml+xml,*/*;q=0.8";
        for accept in [browser, "application/json, text/HTML;q=0.9"] {
            assert_eq!(status(Method::GET, "/", accept), Some(200), "{accept}");
        }
        for accept in ["", "*/*", "application/json", "text/htmlx"] {
            assert_eq!(status(Method::GET, "/", accept), None, "{accept}");
        }
        assert!(ask(Method::GET, "/", []).is_none());
        for method in [Method::POST, Method::PUT, Method::DELETE] {
            assert_eq!(status(method, "/", browser), None);
        }
        for path in ["/console", "/console/", "/x", "/console/1/app/main.js"] {
            assert_eq!(status(Method::GET, path, browser), None, "{path}");
        }
    }

    #[test]
    fn files_of_this_version_may_be_kept() {
        let version = version();
        for (name, kind) in [
            ("app/main.js", "text/javascript; charset=utf-8"),
            ("style/base.css", "text/css; charset=utf-8"),
            ("icon.svg", "image/svg+xml"),
        ] {
            let path = format!("{PLACE}{version}/{name}");
            let got = ask(Method::GET, &path, []).unwrap();
            assert_eq!(got.headers()[header::CONTENT_TYPE], kind);
            let caching = got.headers()[header::CACHE_CONTROL].to_str().unwrap();
            assert!(caching.ends_with("immutable"), "{caching}");
        }
        for name in [
            "index.html",
            "",
            "../src/lib.rs",
            "app/nope.js",
            "/app/main.js",
        ] {
            let path = format!("{PLACE}{version}/{name}");
            assert!(ask(Method::GET, &path, []).is_none(), "{name}");
        }
    }

    #[test]
    fn the_page_is_asked_for_again_and_known() {
        let html = (header::ACCEPT, "text/html");
        let page = ask(Method::GET, "/", [html.clone()]).unwrap();
        assert_eq!(page.headers()[header::CACHE_CONTROL], "no-cache");
        for (name, value) in GUARDS {
            assert_eq!(page.headers()[name], value);
        }
        let tag = page.headers()[header::ETAG].to_str().unwrap().to_owned();
        let tag: &'static str = Box::leak(format!("\"x\", W/{tag}").into_boxed_str());
        let known = (header::IF_NONE_MATCH, tag);
        let again = ask(Method::GET, "/", [html.clone(), known]).unwrap();
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
        assert!(!again.headers().contains_key(header::CONTENT_LENGTH));
        let other = (header::IF_NONE_MATCH, "\"x\"");
        let again = ask(Method::GET, "/", [html, other]).unwrap();
        assert_eq!(again.status(), StatusCode::OK);
    }

    #[test]
    fn head_tells_the_length_alone() {
        use hyper::body::Body as _;
        let html = (header::ACCEPT, "text/html");
        let whole = ask(Method::GET, "/", [html.clone()]).unwrap();
        let head = ask(Method::HEAD, "/", [html]).unwrap();
        let length = header::CONTENT_LENGTH;
        assert_eq!(whole.headers()[&length], head.headers()[&length]);
        assert_eq!(head.body().size_hint().exact(), Some(0));
    }

    /// The page names every file by the version, and all modules.
    #[test]
    fn the_page_is_filled_in() {
        let text = String::from_utf8(index().unwrap().bytes).unwrap();
        assert!(!text.contains('@'), "{text}");
        for name in Files::iter().filter(|name| name.ends_with(".js")) {
            assert!(text.contains(&format!("{}/{name}", version())), "{name}");
        }
    }
}
