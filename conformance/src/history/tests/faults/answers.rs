//! Faults in what clients are answered.

use rand::{SeedableRng, rngs::StdRng};

use super::{Ground, is_caught};
use crate::history::{
    check::{check, timeline::Timeline},
    record::{History, Moment, Op, Outcome},
    request::{Kv, Look, Request, Response, Span},
    violation::Rule,
    workload::PREFIX,
};

fn response_of(op: &mut Op) -> &mut Response {
    match &mut op.outcome {
        Outcome::Answered { response, .. } => response,
        other => panic!("{other:?}"),
    }
}

fn is_plain_read(op: &Op) -> bool {
    matches!(&op.request, Request::Range(look) if look.revision == 0 && !look.serializable)
        && op.answer().is_some()
}

/// A read is served from an older revision than was complete.
fn stale_read(ground: &mut Ground) -> Option<()> {
    let reads = ground.ops(is_plain_read);
    let known_before = |read: &Op| {
        let answers = ground.history.ops.iter().filter_map(Op::answer);
        let before = answers.filter(|(at, ..)| *at < read.invoked);
        before.map(|(_, revision, _)| revision).max().unwrap_or(1)
    };
    let reads = reads.into_iter().filter_map(|read| {
        let floor = known_before(&ground.history.ops[read]);
        (floor > 2).then_some((read, floor - 1))
    });
    let (read, revision) = ground.pick(reads.collect())?;
    let response = ground
        .state(revision)
        .effect(&ground.history.ops[read].request)
        .response?;
    if let Outcome::Answered {
        revision: header,
        response: answer,
        ..
    } = &mut ground.history.ops[read].outcome
    {
        (*header, *answer) = (revision, response);
    }
    Some(())
}

/// A read has the header of its revision and the keys of an older one.
fn old_keys(ground: &mut Ground) -> Option<()> {
    let reads = ground.ops(is_plain_read).into_iter().filter_map(|read| {
        let op = &ground.history.ops[read];
        let (_, revision, response) = op.answer()?;
        let older = ground.state(revision - 1).effect(&op.request).response?;
        (older != *response).then_some((read, older))
    });
    let (read, older) = ground.pick(reads.collect())?;
    *response_of(&mut ground.history.ops[read]) = older;
    Some(())
}

/// A write that was acknowledged is not there in the end.
fn lost_write(ground: &mut Ground) -> Option<()> {
    let end = ground.last();
    ground.add_put("kv/lost", 0);
    let all = Request::Range(Look::at(Span::prefix(PREFIX)));
    let without = ground.state(end).effect(&all).response?;
    ground.add(all, end + 1, without);
    Some(())
}

/// A write is lost with a crash, and its revision given to another.
fn lost_revision(ground: &mut Ground) -> Option<()> {
    let revision = ground.add_put("kv/lost", 0);
    ground.add_put("kv/other", 0);
    if let Outcome::Answered {
        revision: header, ..
    } = &mut ground.history.ops.last_mut()?.outcome
    {
        *header = revision;
    }
    Some(())
}

/// A read shows a key that nobody wrote.
fn phantom(ground: &mut Ground) -> Option<()> {
    let wide = |op: &Op| {
        is_plain_read(op) && matches!(&op.request, Request::Range(l) if !l.span.end.is_empty())
    };
    let read = ground.pick(ground.ops(wide))?;
    let revision = ground.history.ops[read].answer()?.1;
    if let Response::Range { kvs, count, .. } = response_of(&mut ground.history.ops[read]) {
        kvs.push(Kv {
            key: "kv/9".to_owned(),
            value: "never".to_owned(),
            create: revision,
            modified: revision,
            version: 1,
            lease: 0,
        });
        *count += 1;
    }
    Some(())
}

/// A read shows one key of a Txn as it was before, the other as it is after.
fn torn_txn(ground: &mut Ground) -> Option<()> {
    let reads = ground.ops(is_plain_read).into_iter().filter_map(|read| {
        let Response::Range { kvs, .. } = ground.history.ops[read].answer()?.2 else {
            return None;
        };
        let twin = |a: &&Kv| {
            kvs.iter()
                .any(|b| b.key != a.key && b.modified == a.modified)
        };
        // Not a lease's: only puts make twins.
        let kv = kvs.iter().find(|kv| twin(kv) && kv.version > 1)?;
        Some((read, kv.clone()))
    });
    let (read, kv) = ground.pick(reads.collect())?;
    let before = ground.state(kv.modified - 1).get(&kv.key)?.clone();
    if let Response::Range { kvs, .. } = response_of(&mut ground.history.ops[read]) {
        *kvs.iter_mut().find(|other| other.key == kv.key)? = before;
    }
    Some(())
}

/// A comparison is answered the wrong way round.
fn wrong_comparison(ground: &mut Ground) -> Option<()> {
    let failed = |op: &Op| {
        let answer = op.answer().map(|(_, _, response)| response);
        matches!(
            answer,
            Some(Response::Txn {
                succeeded: false,
                ..
            })
        ) && op.request.fence().is_none()
    };
    let op = ground.pick(ground.ops(failed))?;
    *response_of(&mut ground.history.ops[op]) = Response::Txn {
        succeeded: true,
        responses: vec![Response::Put { prev: None }],
    };
    let revision = ground.last() + 1;
    if let Outcome::Answered {
        revision: header,
        at,
        ..
    } = &mut ground.history.ops[op].outcome
    {
        *header = revision;
        *at = Moment(u64::MAX);
    }
    Some(())
}

/// Two writes, one after the other, with each other's revisions.
fn reordered(ground: &mut Ground) -> Option<()> {
    let puts = ground.ops(|op| {
        matches!(
            op.request,
            Request::Put {
                prev: false,
                lease: 0,
                ..
            }
        ) && op.answer().is_some()
    });
    let revision = |op: &Op| op.answer().map(|(_, revision, _)| revision);
    let mut pairs = Vec::new();
    for a in &puts {
        for b in &puts {
            let (one, other) = (&ground.history.ops[*a], &ground.history.ops[*b]);
            let next = revision(one).map(|revision| revision + 1) == revision(other);
            if next && one.returned() < Some(other.invoked) {
                pairs.push((*a, *b));
            }
        }
    }
    let (a, b) = ground.pick(pairs)?;
    let times = |op: &Op| (op.invoked, op.returned());
    let (of_a, of_b) = (times(&ground.history.ops[a]), times(&ground.history.ops[b]));
    for (op, (sent, returned)) in [(a, of_b), (b, of_a)] {
        ground.history.ops[op].invoked = sent;
        if let Outcome::Answered { at, .. } = &mut ground.history.ops[op].outcome {
            *at = returned?;
        }
    }
    Some(())
}

/// A write is seen, and sent after that.
fn seen_before_sent(ground: &mut Ground) -> Option<()> {
    // Only answered writes follow it: their times do not depend on it.
    let mut last = ground.last();
    while ground.is_answered(last) {
        last -= 1;
    }
    let puts = ground.ops(|op| {
        let answer = op.answer().filter(|_| op.is_exact());
        answer.is_some_and(|(_, revision, response)| response.wrote() && revision > last)
    });
    let put = ground.pick(puts)?;
    let last = ground.after_all();
    let op = &mut ground.history.ops[put];
    op.invoked = last;
    if let Outcome::Answered { at, .. } = &mut op.outcome {
        *at = Moment(last.0 + 1);
    }
    Some(())
}

#[test]
fn reads() {
    is_caught(stale_read, &[Rule::StaleRead]);
    is_caught(old_keys, &[Rule::LostWrite]);
    is_caught(phantom, &[Rule::Phantom]);
    is_caught(torn_txn, &[Rule::TornTxn]);
}

/// Revisions 2 and 4 are writes, and 3 is nobody's.
#[test]
fn a_revision_without_write() {
    let mut ground = Ground {
        history: History {
            end: 1,
            ..History::default()
        },
        timeline: Timeline::after(1),
        rng: StdRng::seed_from_u64(0),
    };
    ground.add_put("kv/0", 0);
    ground.history.end = 3;
    ground.add_put("kv/1", 0);
    let violation = check(&ground.history).unwrap_err();
    assert_eq!(violation.rule, Rule::RevisionWithoutWrite, "{violation}");
}

#[test]
fn writes() {
    is_caught(lost_write, &[Rule::LostWrite]);
    is_caught(lost_revision, &[Rule::RevisionGivenTwice]);
    is_caught(wrong_comparison, &[Rule::WrongAnswer]);
    // Whatever stands between the two may also tell.
    is_caught(
        reordered,
        &[Rule::Reordered, Rule::SeenBeforeSent, Rule::StaleRead],
    );
    is_caught(seen_before_sent, &[Rule::SeenBeforeSent, Rule::Reordered]);
}
