//! Counts an RPC from its request to its last frame, whichever way it ends.

use http::{HeaderMap, Response};
use http_body_util::BodyExt;
use tonic::Code;
use tonic::body::Body;

use crate::metrics::Call;

/// An RPC under way. Dropped without an end, it was cancelled.
pub struct Counted {
    call: &'static Call,
    ended: bool,
}

impl Counted {
    /// The RPC begins.
    #[must_use]
    pub fn begin(call: &'static Call) -> Counted {
        call.begin();
        Counted { call, ended: false }
    }

    /// Follows the RPC through its response.
    pub fn follow(mut self, response: Response<Body>) -> Response<Body> {
        if !self.call.is_stream || response.headers().contains_key("grpc-status") {
            // A unary call that failed has its status here, one that succeeded does not.
            self.end(response.headers(), Code::Ok);
            return response;
        }
        response.map(|body| {
            Body::new(body.map_frame(move |frame| {
                if let Some(trailers) = frame.trailers_ref() {
                    self.end(trailers, Code::Unknown);
                }
                frame
            }))
        })
    }

    fn end(&mut self, headers: &HeaderMap, otherwise: Code) {
        let status = headers.get("grpc-status").map(|status| status.as_bytes());
        self.ended = true;
        self.call.end(status.map_or(otherwise, Code::from_bytes));
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        if !self.ended {
            self.call.end(Code::Cancelled);
        }
    }
}
