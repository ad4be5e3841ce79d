//! Lies of the services above the keys, and of what is asked for over plain HTTP.

use http::StatusCode;
use latchd_conformance::suite::standard::{HealthCheckResponse, ReflectionResponse, Reply};
use latchd_proto::{
    etcdserverpb::{AlarmResponse, MemberListResponse, WatchResponse},
    v3electionpb::{CampaignResponse, LeaderResponse},
    v3lockpb::LockResponse,
};

use super::fault;
use crate::fault::{Fault, answers, answers_with, says, shows};

const WATCH: &str = "/etcdserverpb.Watch/Watch";
const LOCK: &str = "/v3lockpb.Lock/Lock";
const CAMPAIGN: &str = "/v3electionpb.Election/Campaign";
const LEADER: &str = "/v3electionpb.Election/Leader";
const OBSERVE: &str = "/v3electionpb.Election/Observe";

/// The type of an event that deletes.
const DELETE: i32 = 1;

/// A health status.
const NOT_SERVING: i32 = 2;

pub fn all() -> Vec<Fault> {
    let parts = [
        watch(),
        locks(),
        elections(),
        members(),
        standard(),
        pages(),
    ];
    parts.into_iter().flatten().collect()
}

fn watch() -> Vec<Fault> {
    vec![
        fault(
            "the last event of a revision is missing",
            "watch/events: a Txn's in *",
            answers(WATCH, |answer: &mut WatchResponse| {
                if answer.events.len() > 1 {
                    answer.events.pop();
                }
            }),
        ),
        fault(
            "the events of a revision are in another order",
            "watch/events: a lease's end *",
            answers(WATCH, |answer: &mut WatchResponse| answer.events.reverse()),
        ),
        fault(
            "a deletion tells when the key was made",
            "watch/events: a deletion *",
            answers(WATCH, |answer: &mut WatchResponse| {
                let deletions = answer.events.iter_mut();
                for event in deletions.filter(|event| event.r#type == DELETE) {
                    let kv = event.kv.get_or_insert_default();
                    kv.create_revision = kv.mod_revision - 1;
                }
            }),
        ),
        fault(
            "a watch that is compacted does not say where",
            "watch/start: long compacted",
            answers(WATCH, |answer: &mut WatchResponse| {
                answer.compact_revision = 0;
            }),
        ),
        fault(
            "what was there before is kept back",
            "watch/filter: no filter, with *",
            answers(WATCH, |answer: &mut WatchResponse| {
                for event in &mut answer.events {
                    event.prev_kv = None;
                }
            }),
        ),
    ]
}

fn locks() -> Vec<Fault> {
    vec![
        fault(
            "a lock's key is another",
            "lock/name: simple",
            answers(LOCK, |answer: &mut LockResponse| {
                answer.key = [&answer.key[..], b"0"].concat().into();
            }),
        ),
        fault(
            "a lock that was waited for has an old revision",
            "lock/wait: until it is unlocked",
            answers(LOCK, |answer: &mut LockResponse| {
                answer.header.get_or_insert_default().revision -= 1;
            }),
        ),
    ]
}

fn elections() -> Vec<Fault> {
    vec![
        fault(
            "the leader says what it said a moment ago",
            "election/proclaim: a new value",
            answers(LEADER, |answer: &mut LeaderResponse| {
                answer.kv.get_or_insert_default().value = "one".into();
            }),
        ),
        fault(
            "a leader's key is of another revision",
            "election/campaign: simple",
            answers(CAMPAIGN, |answer: &mut CampaignResponse| {
                answer.leader.get_or_insert_default().rev += 1;
            }),
        ),
        fault(
            "observers hear what was said before",
            "election/observe: the leader, *",
            answers(OBSERVE, |answer: &mut LeaderResponse| {
                answer.kv.get_or_insert_default().value = "one".into();
            }),
        ),
    ]
}

fn members() -> Vec<Fault> {
    vec![
        fault(
            "a member's URL is missing",
            "cluster/list: linearizable",
            answers(
                "/etcdserverpb.Cluster/MemberList",
                |answer: &mut MemberListResponse| {
                    for member in &mut answer.members {
                        member.client_ur_ls.clear();
                    }
                },
            ),
        ),
        fault(
            "a refusal is another",
            "cluster/remove: *",
            says(
                "/etcdserverpb.Cluster/MemberRemove",
                "etcdserver: member not found",
            ),
        ),
        fault(
            "alarms are not told",
            "maintenance/alarm: NOSPACE and *",
            answers(
                "/etcdserverpb.Maintenance/Alarm",
                |answer: &mut AlarmResponse| answer.alarms.clear(),
            ),
        ),
    ]
}

fn standard() -> Vec<Fault> {
    vec![
        fault(
            "the server does not serve",
            "health/check: the whole server",
            answers(
                "/grpc.health.v1.Health/Check",
                |answer: &mut HealthCheckResponse| answer.status = NOT_SERVING,
            ),
        ),
        fault(
            "a service is missing",
            "reflection/v1: lists the services",
            answers(
                "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
                |answer: &mut ReflectionResponse| {
                    if let Some(Reply::Services(list)) = &mut answer.reply {
                        list.services.retain(|it| it.name != "v3lockpb.Lock");
                    }
                },
            ),
        ),
    ]
}

fn pages() -> Vec<Fault> {
    vec![
        fault(
            "a server is ready, and its status says that it is not",
            "http/GET /readyz",
            answers_with("/readyz", StatusCode::SERVICE_UNAVAILABLE),
        ),
        fault(
            "a check is missing",
            "http/GET /readyz?verbose",
            shows("/readyz", |text| text.replace("[+]non_learner ok\n", "")),
        ),
        fault(
            "a field is in camel case",
            "gateway/kv: put and get",
            shows("/v3/kv/range", |text| {
                text.replace("create_revision", "createRevision")
            }),
        ),
        fault(
            "a number is no text",
            "gateway/kv: delete",
            shows("/v3/kv/deleterange", |text| {
                text.replace("\"deleted\":\"1\"", "\"deleted\":1")
            }),
        ),
        fault(
            "that nobody leads has another status",
            "gateway/election: refused",
            answers_with("/v3/election/leader", StatusCode::BAD_REQUEST),
        ),
    ]
}
