//! The answer to a call that answers with a stream: one line of JSON a message, sent at once.

use bytes::Bytes;
use futures::StreamExt;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::StreamBody;
use hyper::body::Frame;
use tonic::Status;
use tonic::body::Body;

use super::call::Answers;
use super::error::{http_status, last_line};
use super::routes::ToJson;
use super::{json_response, through_grpc};

/// Waits for the first message, which decides on the status, and follows with the others.
pub async fn response(answers: Result<Answers, Status>, json: ToJson) -> Response<Body> {
    let (first, answers) = match begun(answers, json).await {
        Ok(Some(begun)) => begun,
        // No message, so nothing is said of their type.
        Ok(None) => return Response::new(Body::empty()),
        Err(status) => return json_response(http_status(status.code()), last_line(&status)),
    };
    let others = futures::stream::unfold(Some(answers), move |answers| following(answers, json));
    let lines = futures::stream::once(std::future::ready(first)).chain(others);
    let frames = lines.map(|line| Ok::<_, Status>(Frame::data(line)));
    let mut response = Response::new(Body::new(StreamBody::new(frames)));
    *response.status_mut() = StatusCode::OK;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    through_grpc(response)
}

/// The first line and the answers after it; `None` if there are none.
async fn begun(
    answers: Result<Answers, Status>,
    json: ToJson,
) -> Result<Option<(Bytes, Answers)>, Status> {
    let mut answers = answers?;
    let first = next_line(&mut answers, json).await?;
    Ok(first.map(|line| (line, answers)))
}

/// The next line; an error is the last.
async fn following(answers: Option<Answers>, json: ToJson) -> Option<(Bytes, Option<Answers>)> {
    let mut answers = answers?;
    match next_line(&mut answers, json).await {
        Ok(line) => Some((line?, Some(answers))),
        Err(status) => Some((last_line(&status), None)),
    }
}

async fn next_line(answers: &mut Answers, json: ToJson) -> Result<Option<Bytes>, Status> {
    let Some(message) = answers.next().await? else {
        return Ok(None);
    };
    let mut line = br#"{"result":"#.to_vec();
    line.extend_from_slice(&json(message)?);
    line.extend_from_slice(b"}\n");
    Ok(Some(line.into()))
}
