//! Faults of locks.

use super::{Ground, is_caught};
use crate::history::{
    request::{LeaseId, Request, Response, Revision},
    tests::sim::fenced,
    violation::Rule,
};

/// A holder relies on the lock when the next one has it.
fn two_holders(ground: &mut Ground) -> Option<()> {
    let holds = &ground.history.holds;
    let pairs = (0..holds.len()).filter(|i| holds[*i].released.is_some());
    let last = holds.iter().map(|hold| hold.granted).max()?;
    let revoked: Vec<LeaseId> = (ground.history.ops.iter())
        .filter_map(|op| match op.request {
            Request::Revoke { id } => Some(id),
            _ => None,
        })
        .collect();
    let kept = pairs.filter(|i| holds[*i].granted < last && !revoked.contains(&holds[*i].lease));
    let hold = ground.pick(kept.collect())?;
    ground.history.holds[hold].released = None;
    Some(())
}

/// A waiter is granted the lock while an older key is there that has it not.
fn out_of_turn(ground: &mut Ground) -> Option<()> {
    let waited = ground
        .history
        .holds
        .iter()
        .enumerate()
        .filter_map(|(index, hold)| {
            // It came later than its key: it had to wait.
            (hold.revision > hold.token + 1).then_some(index)
        });
    let hold = ground.pick(waited.collect())?;
    let name = ground.history.holds[hold].name.clone();
    let token = ground.history.holds[hold].token;
    let first = ground.state(token).holder(&name)?.clone();
    if first.create == token {
        return None;
    }
    ground.history.holds[hold].revision = token;
    Some(())
}

/// Two holders have each other's tokens.
fn falling_token(ground: &mut Ground) -> Option<()> {
    let mut holds: Vec<usize> = (0..ground.history.holds.len()).collect();
    holds.sort_by_key(|hold| ground.history.holds[*hold].granted);
    let pairs: Vec<_> = holds.windows(2).map(|pair| (pair[0], pair[1])).collect();
    let (one, other) = ground.pick(pairs)?;
    let token = ground.history.holds[one].token;
    ground.history.holds[one].token = ground.history.holds[other].token;
    ground.history.holds[other].token = token;
    Some(())
}

/// A token that rises, but is not the key's create revision.
fn wrong_token(ground: &mut Ground) -> Option<()> {
    let last = ground
        .history
        .holds
        .iter_mut()
        .max_by_key(|hold| hold.granted)?;
    last.token += 1;
    Some(())
}

/// Who has lost the lock writes under it.
fn dead_holder(ground: &mut Ground) -> Option<()> {
    let end = ground.state(ground.last());
    let lost = ground
        .history
        .holds
        .iter()
        .filter(|hold| end.get(&hold.key).is_none_or(|kv| kv.create != hold.token));
    let lost: Vec<(String, Revision)> = lost.map(|h| (h.key.clone(), h.token)).collect();
    let (key, token) = ground.pick(lost)?;
    let done = Response::Txn {
        succeeded: true,
        responses: vec![Response::Put { prev: None }],
    };
    let revision = ground.last() + 1;
    ground.add(fenced(&key, token, "from the grave"), revision, done);
    Some(())
}

/// Who waits for the lock writes under it.
fn waiter(ground: &mut Ground) -> Option<()> {
    ground.add_put("locks/b/1", 0);
    let token = ground.add_put("locks/b/2", 0);
    let done = Response::Txn {
        succeeded: true,
        responses: vec![Response::Put { prev: None }],
    };
    ground.add(fenced("locks/b/2", token, "impatient"), token + 1, done);
    Some(())
}

/// The key is still there after the unlock.
fn unlock_without_effect(ground: &mut Ground) -> Option<()> {
    let revision = ground.add_put("locks/b/1", 0);
    let unlock = Request::Unlock {
        key: "locks/b/1".to_owned(),
    };
    ground.add(unlock, revision, Response::Unlocked);
    Some(())
}

#[test]
fn locks() {
    is_caught(two_holders, &[Rule::TwoHolders]);
    is_caught(out_of_turn, &[Rule::OutOfTurn]);
    is_caught(falling_token, &[Rule::TokenFell]);
    is_caught(wrong_token, &[Rule::WrongToken]);
    is_caught(dead_holder, &[Rule::DeadHolderWrote]);
    is_caught(waiter, &[Rule::WaiterWrote]);
    is_caught(unlock_without_effect, &[Rule::UnlockLeftKey]);
}
