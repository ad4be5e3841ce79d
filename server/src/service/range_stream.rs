//! KV.RangeStream (etcd 3.7): a Range in pieces, all of one revision. The last piece has the header,
//! `more` and the full count.

use bytes::Bytes;
use latchd_proto::etcdserverpb::{
    RangeRequest, RangeResponse, RangeStreamResponse, ResponseHeader,
};
use prost::Message;

use super::validate;
use crate::backend::Backend;
use crate::error::{Error, Result};
use crate::mvcc::range::{default_order, has_filters};

/// How many keys the first piece has.
const FIRST_PIECE: i64 = 10;

/// A read that is handed out in pieces. Nothing is held between them: the next piece is another
/// read at the same revision.
pub struct RangeStream {
    backend: Backend,
    /// How large later pieces become.
    piece_bytes: usize,
    /// The next piece to ask for; `None` when all is said.
    next: Option<RangeRequest>,
    /// How many keys the client still wants; `None` for all.
    wanted: Option<i64>,
    header: Option<ResponseHeader>,
    sent: i64,
}

impl RangeStream {
    /// Begins the read of `request`, if it is one that can be streamed, in pieces of about
    /// `piece_bytes`; etcd's are as large as a request may be.
    pub fn begin(
        backend: Backend,
        piece_bytes: usize,
        mut request: RangeRequest,
    ) -> Result<RangeStream> {
        validate::range(&request)?;
        if !default_order(&request) {
            return Err(Error::RangeStreamOrder);
        }
        if has_filters(&request) {
            return Err(Error::RangeStreamFilter);
        }
        let wanted = (request.limit > 0).then_some(request.limit);
        // A negative limit is none, and one piece, in etcd.
        if request.limit >= 0 {
            request.limit = wanted.map_or(FIRST_PIECE, |wanted| wanted.min(FIRST_PIECE));
        }
        Ok(RangeStream {
            backend,
            piece_bytes,
            next: Some(request),
            wanted,
            header: None,
            sent: 0,
        })
    }

    /// The next piece; `None` after the last.
    pub async fn next(&mut self) -> Result<Option<RangeStreamResponse>> {
        let Some(request) = self.next.take() else {
            return Ok(None);
        };
        let piece = if request.count_only {
            self.backend.range(&request).await?
        } else {
            self.piece(request).await?
        };
        Ok(Some(RangeStreamResponse {
            range_response: Some(piece),
        }))
    }

    async fn piece(&mut self, request: RangeRequest) -> Result<RangeResponse> {
        let mut piece = self.backend.range_piece(&request).await?;
        let header = *self
            .header
            .get_or_insert(piece.header.take().unwrap_or_default());
        let keys = i64::try_from(piece.kvs.len()).unwrap_or(i64::MAX);
        self.sent += keys;
        self.wanted = self.wanted.map(|wanted| wanted - keys);
        let rest = rest_of(request, &piece, header, self.piece_bytes);
        piece.count = 0;
        if self.wanted != Some(0)
            && let Some(rest) = rest
        {
            piece.more = false;
            let limit = self
                .wanted
                .map_or(rest.limit, |wanted| wanted.min(rest.limit));
            self.next = Some(RangeRequest { limit, ..rest });
            return Ok(piece);
        }
        piece.header = Some(header);
        piece.count = self.sent + self.count(rest).await?;
        Ok(piece)
    }

    /// How many keys lie behind what was sent.
    async fn count(&self, rest: Option<RangeRequest>) -> Result<i64> {
        let Some(rest) = rest else {
            return Ok(0);
        };
        let counted = RangeRequest {
            count_only: true,
            limit: 0,
            ..rest
        };
        Ok(self.backend.range(&counted).await?.count)
    }
}

/// What is left of a read after `piece`, at the revision at which it began.
fn rest_of(
    request: RangeRequest,
    piece: &RangeResponse,
    header: ResponseHeader,
    piece_bytes: usize,
) -> Option<RangeRequest> {
    let last = piece.kvs.last().filter(|_| piece.more)?;
    Some(RangeRequest {
        key: Bytes::from([last.key.as_ref(), b"\0"].concat()),
        revision: if request.revision > 0 {
            request.revision
        } else {
            header.revision
        },
        limit: next_limit(request.limit, piece.encoded_len(), piece_bytes),
        ..request
    })
}

/// Pieces double until they are about as large as wanted, and halve when they are far above it.
fn next_limit(limit: i64, bytes: usize, wanted: usize) -> i64 {
    match bytes {
        small if small < wanted / 2 => limit.saturating_mul(2),
        large if large > wanted * 2 => (limit / 2).max(1),
        _ => limit,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_come_near_the_size_that_is_wanted() {
        assert_eq!(next_limit(10, 49, 100), 20);
        assert_eq!(next_limit(10, 50, 100), 10);
        assert_eq!(next_limit(10, 200, 100), 10);
        assert_eq!(next_limit(10, 201, 100), 5);
        assert_eq!(next_limit(1, 201, 100), 1);
    }
}
