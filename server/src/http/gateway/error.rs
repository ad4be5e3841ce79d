//! What a gRPC status becomes in HTTP.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use serde_json::{Value, json};
use tonic::body::Body;
use tonic::{Code, Status};

use super::json_response;

/// The HTTP status that etcd's gateway gives a code.
#[must_use]
pub fn http_status(code: Code) -> StatusCode {
    match code {
        Code::Ok => StatusCode::OK,
        // nginx's "client closed request", which has no name.
        Code::Cancelled => StatusCode::from_u16(499).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
        Code::InvalidArgument | Code::FailedPrecondition | Code::OutOfRange => {
            StatusCode::BAD_REQUEST
        }
        Code::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::AlreadyExists | Code::Aborted => StatusCode::CONFLICT,
        Code::PermissionDenied => StatusCode::FORBIDDEN,
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
        Code::Unimplemented => StatusCode::NOT_IMPLEMENTED,
        Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Code::Unknown | Code::Internal | Code::DataLoss => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// `{"code":…,"message":…}`, without what is empty.
fn told(status: &Status) -> Value {
    let mut told = json!({});
    if status.code() != Code::Ok {
        told["code"] = json!(status.code() as i32);
    }
    if !status.message().is_empty() {
        told["message"] = json!(status.message());
    }
    told
}

/// The answer to a call that failed.
#[must_use]
pub fn refusal(status: &Status) -> Response<Body> {
    let mut response = json_response(http_status(status.code()), told(status).to_string());
    if status.code() == Code::Unauthenticated
        && let Ok(message) = HeaderValue::from_str(status.message())
    {
        response
            .headers_mut()
            .insert(header::WWW_AUTHENTICATE, message);
    }
    response
}

/// The last line of a stream that failed.
#[must_use]
pub fn last_line(status: &Status) -> Bytes {
    format!("{}\n", json!({"error": told(status)})).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_etcds() {
        let numbers: Vec<u16> = (0..17)
            .map(|code| http_status(Code::from(code)).as_u16())
            .collect();
        let etcds = [
            200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401,
        ];
        assert_eq!(numbers, etcds);
    }

    #[test]
    fn what_is_empty_is_left_out() {
        let line = |status| String::from_utf8(last_line(&status).to_vec()).unwrap();
        let status = Status::not_found("x\"y");
        assert_eq!(
            line(status),
            "{\"error\":{\"code\":5,\"message\":\"x\\\"y\"}}\n"
        );
        assert_eq!(line(Status::unknown("")), "{\"error\":{\"code\":2}}\n");
    }

    #[test]
    fn who_is_not_known_is_told_how_to_be() {
        let refused = refusal(&Status::unauthenticated("etcdserver: invalid auth token"));
        assert_eq!(
            refused.headers()[header::WWW_AUTHENTICATE],
            "etcdserver: invalid auth token"
        );
    }
}
