//! What may differ between servers, made equal: who answered, where its revisions start, the order
//! of a lease's keys, and how much of a TTL is left.

use latchd_proto::{
    etcdserverpb::{
        LeaseTimeToLiveResponse, ResponseHeader, ResponseOp, TxnResponse, WatchResponse,
        response_op::Response as Outcome,
    },
    mvccpb::KeyValue,
};

use crate::model::{Answer, Response};

/// How far a TTL may have run down, in seconds: longer than any program takes.
const RUN_DOWN: i64 = 900;

/// Takes revisions back to the model's, which are `offset` less.
#[derive(Clone, Copy, Debug)]
pub struct Mask {
    /// How much larger the server's revisions are.
    pub offset: i64,
}

impl Mask {
    /// An answer as the model would give it.
    pub fn answer(self, answer: &mut Answer) {
        let Ok(response) = answer else { return };
        if let Some(header) = response.header_mut() {
            self.header(header);
        }
        match response {
            Response::Range(range) => self.all(&mut range.kvs),
            Response::Put(put) => self.all(&mut put.prev_kv),
            Response::DeleteRange(delete) => self.all(&mut delete.prev_kvs),
            Response::Txn(txn) => self.outcomes(&mut txn.responses),
            Response::LeaseTimeToLive(left) => time_to_live(left),
            Response::Campaign(campaign) => {
                if let Some(leader) = &mut campaign.leader {
                    self.revision(&mut leader.rev);
                }
            }
            Response::Leader(leader) => self.all(&mut leader.kv),
            Response::Compact(_)
            | Response::LeaseGrant(_)
            | Response::LeaseRevoke(_)
            | Response::LeaseKeepAlive(_)
            | Response::LeaseLeases(_)
            | Response::Lock(_)
            | Response::Unlock(_)
            | Response::Proclaim(_)
            | Response::Resign(_)
            | Response::Waiting(_) => {}
        }
    }

    /// A message of a watch stream as the model would give it.
    pub fn watch(self, response: &mut WatchResponse) {
        if let Some(header) = &mut response.header {
            self.header(header);
        }
        self.revision(&mut response.compact_revision);
        for event in &mut response.events {
            self.all(&mut event.kv);
            self.all(&mut event.prev_kv);
        }
    }

    fn header(self, header: &mut ResponseHeader) {
        self.revision(&mut header.revision);
        *header = ResponseHeader {
            revision: header.revision,
            ..ResponseHeader::default()
        };
    }

    /// Zero is no revision.
    fn revision(self, revision: &mut i64) {
        if *revision != 0 {
            *revision -= self.offset;
        }
    }

    fn all<'a>(self, kvs: impl IntoIterator<Item = &'a mut KeyValue>) {
        for kv in kvs {
            self.revision(&mut kv.create_revision);
            self.revision(&mut kv.mod_revision);
        }
    }

    fn outcomes(self, outcomes: &mut [ResponseOp]) {
        for outcome in outcomes {
            match &mut outcome.response {
                Some(Outcome::ResponseRange(range)) => {
                    self.nested_header(&mut range.header);
                    self.all(&mut range.kvs);
                }
                Some(Outcome::ResponsePut(put)) => {
                    self.nested_header(&mut put.header);
                    self.all(&mut put.prev_kv);
                }
                Some(Outcome::ResponseDeleteRange(delete)) => {
                    self.nested_header(&mut delete.header);
                    self.all(&mut delete.prev_kvs);
                }
                Some(Outcome::ResponseTxn(TxnResponse {
                    header, responses, ..
                })) => {
                    self.nested_header(header);
                    self.outcomes(responses);
                }
                None => {}
            }
        }
    }

    /// Those of a Txn's outcomes name no member, so nothing but the revision is masked.
    fn nested_header(self, header: &mut Option<ResponseHeader>) {
        if let Some(header) = header {
            self.revision(&mut header.revision);
        }
    }
}

fn time_to_live(left: &mut LeaseTimeToLiveResponse) {
    left.keys.sort();
    if (left.granted_ttl - RUN_DOWN..=left.granted_ttl).contains(&left.ttl) && left.ttl > 0 {
        left.ttl = left.granted_ttl;
    }
}
