//! What a broken server might say, one lie each, and which family must notice.

use bytes::Bytes;
use http::StatusCode;
use latchd_conformance::suite::rpc::Payload;
use tonic::{Code, Status};

type Change<T> = Box<dyn Fn(T) -> T + Send + Sync>;

/// One thing that is falsified, on calls of one path.
pub enum Lie {
    /// Nothing.
    None,
    /// The server's messages.
    Answer(&'static str, Change<Bytes>),
    /// What the server hears.
    Request(&'static str, Change<Bytes>),
    /// Its errors.
    Status(&'static str, Change<Status>),
    /// Its pages: status and text.
    Page(&'static str, Change<(StatusCode, String)>),
}

/// A lie, and the cases that must notice.
pub struct Fault {
    /// In a few words.
    pub name: &'static str,
    /// Patterns of cases, all of one family.
    pub cases: &'static str,
    /// What is falsified.
    pub lie: Lie,
}

impl Fault {
    /// The family that must notice.
    pub fn family(&self) -> &'static str {
        let family = self.cases.split_once('/');
        family.map_or(self.cases, |(family, _)| family)
    }
}

impl Lie {
    /// What is told instead of a message of the server's.
    pub fn answer(&self, path: &str, message: Bytes) -> Bytes {
        match self {
            Self::Answer(of, change) if *of == path => change(message),
            _ => message,
        }
    }

    /// What the server hears instead of a client's message.
    pub fn request(&self, path: &str, message: Bytes) -> Bytes {
        match self {
            Self::Request(of, change) if *of == path => change(message),
            _ => message,
        }
    }

    /// Whether it is about pages of this path.
    pub fn is_about_page(&self, path: &str) -> bool {
        matches!(self, Self::Page(of, _) if *of == path)
    }

    /// What a page says instead.
    pub fn page(&self, status: StatusCode, text: String) -> (StatusCode, String) {
        match self {
            Self::Page(_, change) => change((status, text)),
            _ => (status, text),
        }
    }

    /// How a call ends instead.
    pub fn status(&self, path: &str, status: Status) -> Status {
        match self {
            Self::Status(of, change) if *of == path => change(status),
            _ => status,
        }
    }
}

/// A change of the server's messages of one type.
pub fn answers<A: Payload>(
    path: &'static str,
    change: impl Fn(&mut A) + Send + Sync + 'static,
) -> Lie {
    Lie::Answer(path, changed(change))
}

/// A change of what the server hears.
pub fn hears<Q: Payload>(
    path: &'static str,
    change: impl Fn(&mut Q) + Send + Sync + 'static,
) -> Lie {
    Lie::Request(path, changed(change))
}

/// Other words for the server's errors.
pub fn says(path: &'static str, words: &'static str) -> Lie {
    let change = move |status: Status| Status::new(status.code(), words);
    Lie::Status(path, Box::new(change))
}

/// Another code of the server's errors.
pub fn codes(path: &'static str, code: Code) -> Lie {
    let change = move |status: Status| Status::new(code, status.message());
    Lie::Status(path, Box::new(change))
}

/// Other text on a page.
pub fn shows(path: &'static str, change: fn(&str) -> String) -> Lie {
    Lie::Page(
        path,
        Box::new(move |(status, text)| (status, change(&text))),
    )
}

/// Another status of a page.
pub fn answers_with(path: &'static str, status: StatusCode) -> Lie {
    Lie::Page(path, Box::new(move |(_, text)| (status, text)))
}

/// Messages that cannot be decoded go on as they are.
fn changed<M: Payload>(change: impl Fn(&mut M) + Send + Sync + 'static) -> Change<Bytes> {
    Box::new(move |bytes| match M::decode(bytes.clone()) {
        Ok(mut message) => {
            change(&mut message);
            message.encode_to_vec().into()
        }
        Err(_) => bytes,
    })
}
