//! What happened in a case on one server, step by step, as JSON.

use serde_json::{Value, json};
use tonic::{Code, Status};

/// One thing that was sent or received.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// The call, as `KV/Put`, or the stream and what happened on it.
    pub what: String,
    /// The request, to be shown; not compared.
    pub request: Value,
    /// What the server answered; compared whole.
    pub outcome: Value,
}

/// All steps of a case on one server.
pub type Transcript = Vec<Step>;

/// A status as an outcome: code and text, and details if there are some.
#[must_use]
pub fn status(status: &Status) -> Value {
    let mut outcome = json!({
        "code": code_name(status.code()),
        "message": status.message(),
    });
    if !status.details().is_empty() {
        outcome["details"] = json!(status.details().escape_ascii().to_string());
    }
    outcome
}

/// The code as gRPC's documents write it.
fn code_name(code: Code) -> String {
    format!("{code:?}")
}
