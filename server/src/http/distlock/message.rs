//! What is said in either direction.

use serde::{Deserialize, Serialize};

use crate::clock;

/// A request. Its `time` and whatever else it says changes nothing.
#[derive(Debug, Deserialize)]
pub struct Request {
    action: String,
    #[serde(default)]
    param: Option<String>,
    #[serde(default)]
    params: Option<Vec<String>>,
}

/// What a request asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum Action {
    Connect(String),
    Close,
    /// All of these names, or none.
    Lock(Vec<String>),
    Unlock(Vec<String>),
}

impl Action {
    /// Reads a message, or says what is wrong with it.
    pub fn read(message: &[u8]) -> Result<Action, String> {
        let request: Request = serde_json::from_slice(message)
            .map_err(|error| format!("the message is no request: {error}"))?;
        match request.action.as_str() {
            "connect" => Ok(Action::Connect(request.one()?)),
            "close" => Ok(Action::Close),
            "lock" => Ok(Action::Lock(vec![request.one()?])),
            "unlock" => Ok(Action::Unlock(vec![request.one()?])),
            "mlock" => Ok(Action::Lock(request.all()?)),
            "munlock" => Ok(Action::Unlock(request.all()?)),
            other => Err(format!("Unknown action: {other}")),
        }
    }
}

impl Request {
    fn one(self) -> Result<String, String> {
        let param = self.param.filter(|param| !param.is_empty());
        param.ok_or_else(|| format!("{} needs a param", self.action))
    }

    fn all(self) -> Result<Vec<String>, String> {
        let params = self.params.or(self.param.map(|param| vec![param]));
        let params = params.filter(|params| !params.is_empty());
        params.ok_or_else(|| format!("{} needs params", self.action))
    }
}

/// An answer, or what is told unasked.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Said {
    status: &'static str,
    message: String,
    time: i64,
}

impl Said {
    fn new(status: &'static str, message: impl Into<String>) -> Said {
        Said {
            status,
            message: message.into(),
            time: clock::unix_ms(),
        }
    }

    pub fn ok(message: impl Into<String>) -> Said {
        Said::new("OK", message)
    }

    pub fn fail(message: impl Into<String>) -> Said {
        Said::new("FAIL", message)
    }

    /// Somebody else has it.
    pub fn wait(owner: &str) -> Said {
        Said::new("WAIT", format!("Lock owned by {owner}"))
    }

    /// The lock is free again.
    pub fn retry(name: impl Into<String>) -> Said {
        Said::new("RETRY", name)
    }

    pub fn to_json(&self) -> String {
        // Strings and numbers are always JSON.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// Where the document and the source differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Words {
    /// As the source sends them.
    Source,
    /// As the document has them.
    Document,
}

impl Words {
    /// Those of `?status=document`, else the source's.
    pub fn asked_for(query: &str) -> Words {
        let document = query.split('&').any(|pair| pair == "status=document");
        if document {
            Words::Document
        } else {
            Words::Source
        }
    }

    /// The session has the lock.
    pub fn locked(self, message: &'static str) -> Said {
        match self {
            Words::Source => Said::ok(message),
            Words::Document => Said::new("LOCKED", message),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        for (text, action) in [
            (
                r#"{"action": "connect", "param": "s", "time": 1}"#,
                Action::Connect("s".into()),
            ),
            (r#"{"action":"close"}"#, Action::Close),
            (
                r#"{"action":"lock","param":"a","more":[1]}"#,
                Action::Lock(names(&["a"])),
            ),
            (
                r#"{"action":"mlock","params":["a","b"]}"#,
                Action::Lock(names(&["a", "b"])),
            ),
            (
                r#"{"action":"munlock","param":"a"}"#,
                Action::Unlock(names(&["a"])),
            ),
        ] {
            assert_eq!(Action::read(text.as_bytes()), Ok(action), "{text}");
        }
    }

    #[test]
    fn what_is_no_request() {
        for (text, said) in [
            ("", "the message is no request"),
            ("[]", "the message is no request"),
            ("{}", "missing field `action`"),
            (r#"{"action":7}"#, "the message is no request"),
            (r#"{"action":"dance"}"#, "Unknown action: dance"),
            (r#"{"action":"lock"}"#, "lock needs a param"),
            (r#"{"action":"lock","param":""}"#, "lock needs a param"),
            (r#"{"action":"mlock","params":[]}"#, "mlock needs params"),
        ] {
            let refused = Action::read(text.as_bytes()).unwrap_err();
            assert!(refused.contains(said), "{text}: {refused}");
        }
        assert!(Action::read(&"[".repeat(100_000).into_bytes()).is_err());
    }

    #[test]
    fn the_words() {
        let said = Words::asked_for("").locked("Acquired");
        assert_eq!((said.status, said.message.as_str()), ("OK", "Acquired"));
        let said = Words::asked_for("a=b&status=document").locked("Acquired");
        assert_eq!(said.status, "LOCKED");
        assert_eq!(Words::asked_for("status=documents"), Words::Source);
    }
}
