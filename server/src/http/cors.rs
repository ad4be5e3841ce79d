//! Which pages of other origins may read the answers (`--cors`), as etcd tells browsers.

use std::sync::Arc;

use http::{HeaderMap, HeaderValue, header};

/// The origins that are allowed; cheap to clone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cors(
    /// None in particular: any.
    Option<Arc<[HeaderValue]>>,
);

impl Cors {
    /// Allows the origins in `text`, with commas between them; none, or `*`, is any.
    pub fn parse(text: &str) -> Result<Cors, String> {
        let origins = text.split(',').map(str::trim);
        let origins = origins.filter(|origin| !origin.is_empty()).map(|origin| {
            HeaderValue::from_str(origin).map_err(|_| format!("no header can hold {origin}"))
        });
        let origins: Vec<HeaderValue> = origins.collect::<Result<_, _>>()?;
        let any = origins.is_empty() || origins.contains(&HeaderValue::from_static("*"));
        Ok(Cors((!any).then(|| origins.into())))
    }

    /// What of `request`'s origin is told, if anything.
    #[must_use]
    pub fn allowed(&self, request: &HeaderMap) -> Option<HeaderValue> {
        let Some(origins) = &self.0 else {
            return Some(HeaderValue::from_static("*"));
        };
        let origin = request.get(header::ORIGIN)?;
        origins.contains(origin).then(|| origin.clone())
    }
}

/// Tells a browser that `origin` may read the answer that has these headers.
pub fn allow(origin: HeaderValue, headers: &mut HeaderMap) {
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_METHODS,
        HeaderValue::from_static("POST, GET, OPTIONS, PUT, DELETE"),
    );
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_HEADERS,
        HeaderValue::from_static("accept, content-type, authorization"),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(cors: &Cors, origin: Option<&'static str>) -> Option<HeaderValue> {
        let mut headers = HeaderMap::new();
        headers.extend(origin.map(|origin| (header::ORIGIN, HeaderValue::from_static(origin))));
        cors.allowed(&headers)
    }

    #[test]
    fn any_origin_unless_some_are_named() {
        let any = Some(HeaderValue::from_static("*"));
        for origins in ["", "*", "http://a:1,*"] {
            let cors = Cors::parse(origins).unwrap();
            assert_eq!(cors, Cors::default());
            assert_eq!(allowed(&cors, None), any);
            assert_eq!(allowed(&cors, Some("http://b:1")), any);
        }
        let cors = Cors::parse("http://a:1, http://c").unwrap();
        assert_eq!(allowed(&cors, Some("http://a:1")).unwrap(), "http://a:1");
        for other in [None, Some("http://b:1"), Some("http://a:12"), Some("*")] {
            assert_eq!(allowed(&cors, other), None, "{other:?}");
        }
        Cors::parse("a\nb").unwrap_err();
    }
}
