//! URLs to listen on and to tell, refused in etcd's sentences.

use std::path::PathBuf;

use percent_encoding::percent_decode_str;
use url::{Host, ParseError, Url};

use crate::http::Cors;

/// URLs with commas between them, as one value: given again, they replace the ones before.
#[derive(Clone, Debug, Default)]
pub struct Urls(pub Vec<Url>);

impl Urls {
    /// What can be listened on. None in an empty text; one that is given twice counts once.
    pub fn parse(text: &str) -> Result<Urls, String> {
        let urls = Urls::told(text)?;
        match urls.0.iter().find(|url| needs_tls(url)) {
            None => Ok(urls),
            Some(url) => Err(format!(
                "{}:// is not implemented yet: latchd has no TLS: {}",
                url.scheme(),
                plain(url)
            )),
        }
    }

    /// What others are told, who may have TLS before this server.
    pub fn told(text: &str) -> Result<Urls, String> {
        let mut urls = Vec::new();
        for each in text.split(',').filter(|_| !text.is_empty()) {
            let url = parse(each.trim())?;
            if !urls.contains(&url) {
                urls.push(url);
            }
        }
        Ok(Urls(urls))
    }
}

/// Origins of pages in browsers, which are URLs, or a star for any.
pub fn origins(text: &str) -> Result<Cors, String> {
    if text != "*" {
        Urls::told(text)?;
    }
    Cors::parse(text)
}

/// Whether this is one URL.
pub fn check(text: &str) -> Result<(), String> {
    parse(text).map(drop)
}

fn needs_tls(url: &Url) -> bool {
    ["https", "unixs"].contains(&url.scheme())
}

fn parse(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| as_go_says(error, text))?;
    match url.scheme() {
        "http" | "https" => {}
        "unix" | "unixs" if socket_path(&url).is_some() => return Ok(url),
        "unix" | "unixs" => return Err(format!("URL names no socket file: {text}")),
        _ => return Err(unknown_scheme(text)),
    }
    let (_, rest) = text.split_once("://").unwrap_or(("", text));
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let port = authority.rsplit_once(':').map_or("", |(_, port)| port);
    if port.is_empty() || !port.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!(
            "URL address does not have the form \"host:port\": {text}"
        ));
    }
    if !path.is_empty() {
        return Err(format!("URL must not contain a path: {text}"));
    }
    Ok(url)
}

fn unknown_scheme(text: &str) -> String {
    format!("URL scheme must be http, https, unix, or unixs: {text}")
}

/// What Go's `url.Parse` says of it, where clients of etcd are likely to see it.
fn as_go_says(error: ParseError, text: &str) -> String {
    let first_segment = text.split('/').next().unwrap_or_default();
    match error {
        ParseError::RelativeUrlWithoutBase if first_segment.contains(':') => {
            format!("parse {text:?}: first path segment in URL cannot contain colon")
        }
        ParseError::RelativeUrlWithoutBase => unknown_scheme(text),
        ParseError::InvalidIpv6Address if !text.contains(']') => {
            format!("parse {text:?}: missing ']' in host")
        }
        other => format!("parse {text:?}: {other}"),
    }
}

/// The socket file of a `unix://` URL. As in etcd, the path is all that follows the scheme, so
/// `unix://localhost:2379` is a file of the current directory.
#[must_use]
pub fn socket_path(url: &Url) -> Option<PathBuf> {
    if !["unix", "unixs"].contains(&url.scheme()) {
        return None;
    }
    let host = url.host_str().unwrap_or_default();
    let port = url
        .port()
        .map(|port| format!(":{port}"))
        .unwrap_or_default();
    let path = format!("{host}{port}{}", url.path());
    let path = percent_decode_str(&path).decode_utf8().ok()?;
    (!path.is_empty()).then(|| path.as_ref().into())
}

/// etcd binds to addresses, and to no name but localhost.
pub fn check_bind(urls: &[Url]) -> Result<(), String> {
    for url in urls.iter().filter(|url| url.scheme().starts_with("http")) {
        if matches!(url.host(), Some(Host::Domain(name)) if name != "localhost") {
            let url = plain(url);
            return Err(format!("expected IP in URL for binding ({url})"));
        }
    }
    Ok(())
}

/// As it was given: the `url` crate adds the slash of an empty path, and hides a port 80.
#[must_use]
pub fn plain(url: &Url) -> String {
    match (url.host_str(), url.port_or_known_default()) {
        (Some(host), Some(port)) if url.scheme().starts_with("http") => {
            format!("{}://{host}:{port}", url.scheme())
        }
        _ => url.as_str().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        Urls::parse(text).unwrap_err()
    }

    #[test]
    fn etcds_sentences() {
        let form = "URL address does not have the form \"host:port\": http://127.0.0.1";
        assert_eq!(error("http://127.0.0.1"), form);
        let path = "URL must not contain a path: http://127.0.0.1:1/a";
        assert_eq!(error("http://127.0.0.1:1/a"), path);
        let scheme = "URL scheme must be http, https, unix, or unixs: ftp://x";
        assert_eq!(error("ftp://x"), scheme);
        for bad in ["nonsense", "localhost:1", ""] {
            let said = format!("URL scheme must be http, https, unix, or unixs: {bad}");
            assert_eq!(error(&format!("http://127.0.0.1:1,{bad}")), said);
        }
        let colon = "parse \"127.0.0.1:1\": first path segment in URL cannot contain colon";
        assert_eq!(error("127.0.0.1:1"), colon);
        assert_eq!(
            error("http://[::1:1"),
            "parse \"http://[::1:1\": missing ']' in host"
        );
        for bad in ["http://127.0.0.1:99999", "unix://"] {
            assert!(Urls::parse(bad).is_err(), "{bad}");
        }
        assert!(error("https://127.0.0.1:1").contains("not implemented yet"));
        assert_eq!(Urls::told("https://a:443,unixs://b").unwrap().0.len(), 2);
    }

    #[test]
    fn names_are_not_bound_to() {
        let check = |text: &str| check_bind(&Urls::parse(text).unwrap().0);
        let said = "expected IP in URL for binding (http://example.com:1)";
        assert_eq!(check("http://example.com:1"), Err(said.into()));
        for good in ["http://0.0.0.0:0", "http://[::1]:1", "http://localhost:80"] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
    }

    #[test]
    fn several_and_none_and_twice_the_same() {
        let count = |text: &str| Urls::parse(text).unwrap().0.len();
        assert_eq!(count(""), 0);
        assert_eq!(count("http://127.0.0.1:1,http://127.0.0.1:2"), 2);
        assert_eq!(count("http://127.0.0.1:1, http://127.0.0.1:1"), 1);
    }

    #[test]
    fn told_as_they_were_given() {
        for text in [
            "http://127.0.0.1:80",
            "http://[::1]:2379",
            "unix:///a/b",
            "unix://a:1",
            "https://a:443",
        ] {
            assert_eq!(plain(&Urls::told(text).unwrap().0[0]), text);
        }
    }

    #[test]
    fn origins_are_urls_or_a_star() {
        for any in ["*", ""] {
            assert_eq!(origins(any), Ok(Cors::default()));
        }
        assert_eq!(origins("http://a:1"), Cors::parse("http://a:1"));
        let scheme = "URL scheme must be http, https, unix, or unixs: x";
        assert_eq!(origins("x"), Err(scheme.into()));
    }

    #[test]
    fn socket_files() {
        let path = |text: &str| socket_path(&Urls::parse(text).unwrap().0[0]);
        assert_eq!(path("unix:///tmp/a%20b"), Some("/tmp/a b".into()));
        assert_eq!(path("unix://localhost:2379"), Some("localhost:2379".into()));
        assert_eq!(path("http://localhost:2379"), None);
    }
}
