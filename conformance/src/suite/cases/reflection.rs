//! Server reflection, in both versions. etcd serves none, so what latchd answers is
//! held to the explanation of that, word by word: which services there are, and
//! what is in the files that describe them.

use anyhow::{Context, Result};
use prost::Message;
use prost_types::FileDescriptorProto;
use serde_json::{Value, json};

use crate::suite::{
    Case, Session,
    session::PATIENCE,
    standard::{Question, ReflectionRequest, ReflectionResponse, Reply},
    stream::Stream,
    transcript,
};

/// Both versions, which clients try one after the other.
const VERSIONS: [(&str, &str); 2] = [
    (
        "v1",
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    ),
    (
        "v1alpha",
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
    ),
];

pub fn cases() -> Vec<Case> {
    VERSIONS
        .iter()
        .flat_map(|(name, path)| version(name, path))
        .collect()
}

fn version(name: &str, path: &'static str) -> Vec<Case> {
    let symbol = |symbol: &str| Question::FileContainingSymbol(symbol.to_owned());
    let questions = [
        ("lists the services", Question::ListServices(String::new())),
        ("the file of a service", symbol("etcdserverpb.KV")),
        ("the file of a method", symbol("v3lockpb.Lock.Unlock")),
        ("the file of a message", symbol("mvccpb.KeyValue")),
        ("what is in no file", symbol("nonsense")),
    ];
    let case = |(about, question): (&str, Question)| {
        Case::new(format!("{name}: {about}"), async move |s: &mut Session| {
            ask(s, path, question.clone()).await
        })
    };
    questions.into_iter().map(case).collect()
}

/// Asks on a stream of its own, and writes down what matters of the answer.
async fn ask(s: &mut Session, path: &'static str, question: Question) -> Result<()> {
    let request = ReflectionRequest {
        host: String::new(),
        question: Some(question),
    };
    let mut stream: Stream<ReflectionRequest, ReflectionResponse> = s.stream("questions", path);
    stream.send_raw(request.encode_to_vec().into());
    let outcome = match tokio::time::timeout(PATIENCE, stream.next_raw()).await? {
        Ok(Some(frame)) => json!({ "reply": told(ReflectionResponse::decode(frame)?)? }),
        Ok(None) => json!({ "end": "OK" }),
        Err(status) => json!({ "end": transcript::status(&status) }),
    };
    s.note("reflection", serde_json::to_value(&request)?, outcome);
    Ok(())
}

/// An answer as one line.
fn told(answer: ReflectionResponse) -> Result<Value> {
    let line = match answer.reply.context("no reply")? {
        Reply::Services(list) => {
            let mut names: Vec<String> = list.services.into_iter().map(|it| it.name).collect();
            names.sort();
            names.join(" ")
        }
        Reply::Files(files) => {
            let file = files.files.first().context("no file")?;
            let file = FileDescriptorProto::decode(file.as_slice())?;
            let services = file.service.iter().map(|it| it.name()).collect::<Vec<_>>();
            let messages = file.message_type.len();
            format!("{}: {services:?}, {messages} messages", file.package())
        }
        Reply::Error(error) => format!("error {}", error.code),
        Reply::Extensions(_) => "extensions".to_owned(),
    };
    Ok(json!(line))
}
