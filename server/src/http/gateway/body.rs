//! A request's bytes, cut into JSON values: a unary call reads the first, a stream all of them.

use bytes::{Buf, Bytes, BytesMut};
use futures::stream::BoxStream;
use futures::{Stream, StreamExt};

/// Levels of objects and lists in one value.
const DEEPEST: usize = 10_000;

/// Pieces of a body as they come in; an error is a client that went away.
pub type Chunks = BoxStream<'static, Result<Bytes, Gone>>;

/// The client went away in the middle of its request.
#[derive(Debug)]
pub struct Gone;

/// Why there is no next value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// It does not begin like an object. (Others are JSON, but no message.)
    NotAnObject,
    /// The body ends within it.
    Truncated,
    /// It is longer than is taken.
    TooLong,
    /// It has more levels than Go's reader takes.
    TooDeep,
}

/// The values of a body, of which only one is held at a time.
pub struct Values<S> {
    chunks: S,
    /// What came and is not part of a value that was handed out.
    buffer: BytesMut,
    end: Scanner,
    /// How long a value may be, in bytes.
    longest: usize,
}

impl<S: Stream<Item = Result<Bytes, Gone>> + Unpin> Values<S> {
    /// The values that `chunks` make up.
    pub fn new(chunks: S, longest: usize) -> Values<S> {
        Values {
            chunks,
            buffer: BytesMut::new(),
            end: Scanner::default(),
            longest,
        }
    }

    /// The text of the next object; `None` when the body has ended. After an error there is no next.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Unreadable> {
        loop {
            if let Some(value) = self.cut()? {
                return Ok(Some(value));
            }
            if self.buffer.len() > self.longest {
                return Err(Unreadable::TooLong);
            }
            match self.chunks.next().await {
                Some(Ok(chunk)) => self.buffer.extend_from_slice(&chunk),
                Some(Err(Gone)) => return Err(Unreadable::Truncated),
                None if self.buffer.is_empty() => return Ok(None),
                None => return Err(Unreadable::Truncated),
            }
        }
    }

    /// Reads what is left of the body and forgets it, but no more than `most` bytes.
    pub async fn drain(&mut self, most: usize) {
        self.buffer = BytesMut::new();
        let mut drained = 0;
        while drained < most
            && let Some(Ok(chunk)) = self.chunks.next().await
        {
            drained += chunk.len();
        }
    }

    /// The first value of the buffer, if it is whole.
    fn cut(&mut self) -> Result<Option<Bytes>, Unreadable> {
        if self.end.at == 0 {
            let is_space = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
            let spaces = self.buffer.iter().take_while(|byte| is_space(byte)).count();
            self.buffer.advance(spaces);
            if self.buffer.first().is_some_and(|byte| *byte != b'{') {
                return Err(Unreadable::NotAnObject);
            }
        }
        let found = self.end.find(&self.buffer);
        if self.end.depth > DEEPEST {
            return Err(Unreadable::TooDeep);
        }
        let Some(length) = found else {
            return Ok(None);
        };
        self.end = Scanner::default();
        Ok(Some(self.buffer.split_to(length).freeze()))
    }
}

/// Looks for the end of an object, going over each byte once.
#[derive(Default)]
struct Scanner {
    /// How far it has looked.
    at: usize,
    depth: usize,
    in_string: bool,
    escaped: bool,
}

impl Scanner {
    /// The length of the object that `buffer` begins with, if it ends there.
    fn find(&mut self, buffer: &[u8]) -> Option<usize> {
        while let Some(byte) = buffer.get(self.at) {
            self.at += 1;
            if self.closes(*byte) {
                return Some(self.at);
            }
            if self.depth > DEEPEST {
                return None;
            }
        }
        None
    }

    fn closes(&mut self, byte: u8) -> bool {
        match byte {
            _ if self.escaped => self.escaped = false,
            b'\\' if self.in_string => self.escaped = true,
            b'"' => self.in_string = !self.in_string,
            _ if self.in_string => {}
            b'{' | b'[' => self.depth += 1,
            // The first byte has opened one.
            b'}' | b']' => self.depth -= 1,
            _ => {}
        }
        self.depth == 0 && !self.in_string
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;
    use proptest::prelude::*;

    fn values(chunks: &[&str], longest: usize) -> Vec<Result<String, Unreadable>> {
        let chunks: Vec<_> = chunks
            .iter()
            .map(|chunk| Ok(Bytes::copy_from_slice(chunk.as_bytes())))
            .collect();
        let mut values = Values::new(futures::stream::iter(chunks), longest);
        let mut all = Vec::new();
        loop {
            // Nothing here ever waits.
            match values.next().now_or_never().unwrap() {
                Ok(None) => return all,
                Ok(Some(text)) => all.push(Ok(String::from_utf8(text.to_vec()).unwrap())),
                Err(error) => {
                    all.push(Err(error));
                    return all;
                }
            }
        }
    }

    #[test]
    fn values_end_where_their_braces_close() {
        let texts = |chunks: &[&str]| -> Vec<String> {
            values(chunks, 100)
                .into_iter()
                .map(Result::unwrap)
                .collect()
        };
        assert!(texts(&[]).is_empty() && texts(&["", " \n\t\r "]).is_empty());
        assert_eq!(
            texts(&[" {} {\"a\":[{}]}\n{}"]),
            ["{}", "{\"a\":[{}]}", "{}"]
        );
        let tricky = r#"{"}":"{\"]\\"}"#;
        assert_eq!(texts(&[tricky, tricky]), [tricky, tricky]);
    }

    #[test]
    fn what_is_not_an_object_ends_it() {
        for text in ["junk", "[]", "1", "null", "\"x\"", "}", ","] {
            assert_eq!(
                values(&[text], 100),
                [Err(Unreadable::NotAnObject)],
                "{text}"
            );
        }
        assert_eq!(
            values(&["{}{"], 100),
            [Ok("{}".into()), Err(Unreadable::Truncated)]
        );
        let long = format!("{{\"a\":\"{}", "x".repeat(100));
        assert_eq!(values(&[&long], 100), [Err(Unreadable::TooLong)]);
        let nested = |levels| format!("{{\"a\":{}1{}}}", "[".repeat(levels), "]".repeat(levels));
        values(&[&nested(DEEPEST - 1)], 100)[0].as_ref().unwrap();
        assert_eq!(values(&[&nested(DEEPEST)], 100), [Err(Unreadable::TooDeep)]);
    }

    proptest! {
        #[test]
        fn where_chunks_begin_does_not_matter(text in r#"[{}\[\]":,\\a ]{0,40}"#, at in 0usize..40) {
            let (head, tail) = text.split_at(at.min(text.len()));
            prop_assert_eq!(values(&[head, tail], 100), values(&[&text], 100));
        }
    }
}
