//! Alarms: what an operator must see to, and what is refused until then (etcd 3.7.1,
//! `apply/capped.go`, `apply/corrupt.go`).

use latchd_proto::etcdserverpb::{
    AlarmMember, AlarmRequest, AlarmResponse, AlarmType, PutRequest, RequestOp, TxnRequest,
    alarm_request::AlarmAction, request_op::Request,
};

use crate::command::Command;
use crate::error::{Error, Result};
use crate::mvcc::write::Batch;

/// What storing a key costs beside its bytes, as etcd's quota estimates it.
const KEY_OVERHEAD: usize = 256;
/// What storing a lease costs, as etcd's quota estimates it.
const LEASE_OVERHEAD: usize = 64;

/// Refuses what the raised alarms forbid to clients: with NOSPACE whatever takes space, with CORRUPT every
/// change but an alarm's.
pub fn check(batch: &Batch<'_>, command: &Command) -> Result<()> {
    let state = batch.state();
    let of_the_member = matches!(
        command,
        Command::Alarm(_) | Command::Defragment | Command::SetPeerUrls(_)
    );
    if state.alarms.is_empty() || of_the_member {
        return Ok(());
    }
    let reads = matches!(command, Command::LeaseKeys(_));
    if state.has_alarm(AlarmType::Corrupt) && !reads {
        return Err(Error::Corrupt);
    }
    if state.has_alarm(AlarmType::Nospace) && cost(command) > 0 {
        return Err(Error::NoSpace);
    }
    Ok(())
}

/// What a command may add to the store, in bytes, as etcd's quota counts it; 0 for one that
/// takes no space.
#[must_use]
pub fn cost(command: &Command) -> usize {
    match command {
        Command::Put(put) => put_cost(put),
        Command::Txn(txn) => txn_cost(txn),
        Command::Grant { .. } => LEASE_OVERHEAD,
        _ => 0,
    }
}

fn put_cost(put: &PutRequest) -> usize {
    KEY_OVERHEAD + put.key.len() + put.value.len()
}

fn txn_cost(txn: &TxnRequest) -> usize {
    let sum = |operations: &[RequestOp]| operations.iter().map(operation_cost).sum();
    let (success, failure): (usize, usize) = (sum(&txn.success), sum(&txn.failure));
    success.max(failure)
}

fn operation_cost(operation: &RequestOp) -> usize {
    match &operation.request {
        Some(Request::RequestPut(put)) => put_cost(put),
        Some(Request::RequestTxn(nested)) => txn_cost(nested),
        _ => 0,
    }
}

/// Lists, raises or disarms alarms. What was not raised is disarmed without a word.
pub fn alarm(batch: &mut Batch<'_>, request: &AlarmRequest) -> Result<AlarmResponse> {
    let (kind, member) = (request.alarm, request.member_id);
    let alarms = match AlarmAction::try_from(request.action) {
        Ok(AlarmAction::Get) => list(batch, kind),
        Ok(AlarmAction::Activate) if kind != AlarmType::None as i32 => {
            batch.set_alarm(kind, member, true)?;
            vec![told(kind, member)]
        }
        Ok(AlarmAction::Deactivate) if batch.set_alarm(kind, member, false)? => {
            vec![told(kind, member)]
        }
        _ => Vec::new(),
    };
    Ok(AlarmResponse {
        header: super::kv::header(batch.revision()),
        alarms,
    })
}

fn list(batch: &Batch<'_>, wanted: i32) -> Vec<AlarmMember> {
    let all = batch.state().alarms.iter();
    let wanted = all.filter(|(kind, _)| wanted == AlarmType::None as i32 || *kind == wanted);
    wanted.map(|(kind, member)| told(*kind, *member)).collect()
}

fn told(alarm: i32, member_id: u64) -> AlarmMember {
    AlarmMember { member_id, alarm }
}
