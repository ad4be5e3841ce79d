//! What each service answers as JSON.

use super::{Posts, posts};
use crate::suite::Case;

pub fn cases() -> Vec<Case> {
    let tables: [(&str, &[(&str, Posts)]); 8] = [
        ("kv", KV),
        ("txn", TXN),
        ("compact", COMPACT),
        ("lease", LEASE),
        ("lock", LOCK),
        ("election", ELECTION),
        ("cluster", CLUSTER),
        ("maintenance", MAINTENANCE),
    ];
    let cases = tables.into_iter().flat_map(|(family, table)| {
        let case = move |(name, steps): &(&str, Posts)| posts(&format!("{family}: {name}"), steps);
        table.iter().map(case)
    });
    cases.collect()
}

const PUT: &str = "/v3/kv/put";
const RANGE: &str = "/v3/kv/range";
const DELETE: &str = "/v3/kv/deleterange";
const TXN_PATH: &str = "/v3/kv/txn";
const ALL: (&str, &str) = (RANGE, r#"{"key":"AA==","range_end":"AA=="}"#);

const KV: &[(&str, Posts)] = &[
    (
        "put and get",
        &[
            (PUT, r#"{"key":"<k>","value":"<v>"}"#),
            (RANGE, r#"{"key":"<k>"}"#),
            (PUT, r#"{"key":"<k>","value":"<w>","prev_kv":true}"#),
            (RANGE, r#"{"key":"<absent>"}"#),
        ],
    ),
    (
        "bytes that are no text",
        &[(PUT, r#"{"key":"/+8A","value":"AAECAw=="}"#), ALL],
    ),
    (
        "limit, order, counts",
        &[
            (PUT, r#"{"key":"<a>","value":"<3>"}"#),
            (PUT, r#"{"key":"<b>","value":"<2>"}"#),
            (PUT, r#"{"key":"<c>","value":"<1>"}"#),
            (RANGE, r#"{"key":"<a>","range_end":"<d>","limit":"2"}"#),
            (
                RANGE,
                r#"{"key":"<a>","range_end":"<d>","limit":2,"sort_order":"DESCEND"}"#,
            ),
            (
                RANGE,
                r#"{"key":"<a>","range_end":"<d>","sort_order":"ASCEND","sort_target":"VALUE"}"#,
            ),
            (
                RANGE,
                r#"{"key":"<a>","range_end":"<d>","count_only":true}"#,
            ),
            (
                RANGE,
                r#"{"key":"<a>","range_end":"<d>","keys_only":true,"serializable":true}"#,
            ),
            (
                RANGE,
                r#"{"key":"<a>","range_end":"<d>","min_mod_revision":"$2","max_create_revision":"$2"}"#,
            ),
        ],
    ),
    (
        "revisions of the past and the future",
        &[
            (PUT, r#"{"key":"<k>","value":"<1>"}"#),
            (PUT, r#"{"key":"<k>","value":"<2>"}"#),
            (RANGE, r#"{"key":"<k>","revision":"$1"}"#),
            (RANGE, r#"{"key":"<k>","revision":$9}"#),
            (RANGE, r#"{"key":"<k>","revision":"-1"}"#),
        ],
    ),
    (
        "delete",
        &[
            (PUT, r#"{"key":"<k>","value":"<v>"}"#),
            (DELETE, r#"{"key":"<k>","prev_kv":true}"#),
            (DELETE, r#"{"key":"<k>"}"#),
            (DELETE, r#"{"key":"<a>","range_end":"AA=="}"#),
            (DELETE, "{}"),
        ],
    ),
    (
        "put refused",
        &[
            (PUT, "{}"),
            (PUT, r#"{"key":"<k>","lease":"404"}"#),
            (PUT, r#"{"key":"<k>","ignore_value":true}"#),
            (PUT, r#"{"key":"<k>","value":"<v>","ignore_value":true}"#),
            (PUT, r#"{"key":"<k>","ignore_lease":true,"lease":"5"}"#),
        ],
    ),
];

const TXN: &[(&str, Posts)] = &[
    (
        "compares of each kind",
        &[
            (PUT, r#"{"key":"<k>","value":"<v>"}"#),
            (
                TXN_PATH,
                r#"{"compare":[{"target":"VALUE","key":"<k>","value":"<v>"}],"success":[{"request_range":{"key":"<k>"}}]}"#,
            ),
            (
                TXN_PATH,
                r#"{"compare":[{"target":"VERSION","result":"GREATER","key":"<k>","version":"0"}]}"#,
            ),
            (
                TXN_PATH,
                r#"{"compare":[{"target":"CREATE","result":"EQUAL","key":"<x>","create_revision":"0"}],"success":[{"request_put":{"key":"<x>","value":"<1>"}}]}"#,
            ),
            (
                TXN_PATH,
                r#"{"compare":[{"target":"MOD","result":"LESS","key":"<k>","mod_revision":"$1"}],"failure":[{"request_range":{"key":"<k>"}}]}"#,
            ),
            (
                TXN_PATH,
                r#"{"compare":[{"target":"LEASE","result":"NOT_EQUAL","key":"<k>","lease":"7"}]}"#,
            ),
            (
                TXN_PATH,
                r#"{"compare":[{"target":"VERSION","key":"<a>","range_end":"<z>","version":1}]}"#,
            ),
        ],
    ),
    (
        "answers of each kind",
        &[
            (
                TXN_PATH,
                r#"{"success":[{"request_put":{"key":"<a>","value":"<1>"}},{"request_range":{"key":"<a>"}},{"request_delete_range":{"key":"<b>"}},{"request_txn":{"success":[{"request_put":{"key":"<c>"}}]}}]}"#,
            ),
            (
                TXN_PATH,
                r#"{"success":[{"requestPut":{"key":"<a>","prevKv":true}}]}"#,
            ),
            (TXN_PATH, "{}"),
        ],
    ),
    (
        "refused",
        &[
            (
                TXN_PATH,
                r#"{"success":[{"request_put":{"key":"<a>"}},{"request_put":{"key":"<a>"}}]}"#,
            ),
            (TXN_PATH, r#"{"success":[{"request_put":{}}]}"#),
            (TXN_PATH, r#"{"compare":[{"target":"VALUE"}]}"#),
            (TXN_PATH, r#"{"success":[{}]}"#),
            (TXN_PATH, r#"{"compare":[{"key":"<a>"}]}"#),
        ],
    ),
];

const COMPACT: &[(&str, Posts)] = &[(
    "and its refusals",
    &[
        (PUT, r#"{"key":"<k>","value":"<1>"}"#),
        (PUT, r#"{"key":"<k>","value":"<2>"}"#),
        ("/v3/kv/compaction", r#"{"revision":"$2","physical":true}"#),
        ("/v3/kv/compaction", r#"{"revision":"$2"}"#),
        ("/v3/kv/compaction", r#"{"revision":"$9"}"#),
        ("/v3/kv/compaction", "{}"),
        (RANGE, r#"{"key":"<k>","revision":"$1"}"#),
    ],
)];

const LEASE: &[(&str, Posts)] = &[
    (
        "from grant to revoke",
        &[
            ("/v3/lease/grant", r#"{"TTL":"60","ID":"7"}"#),
            (PUT, r#"{"key":"<k>","lease":7}"#),
            ("/v3/lease/timetolive", r#"{"ID":"7","keys":true}"#),
            ("/v3/lease/leases", "{}"),
            ("/v3/lease/keepalive", r#"{"ID":"7"}"#),
            ("/v3/lease/revoke", r#"{"ID":"7"}"#),
            ALL,
        ],
    ),
    (
        "under the paths of old",
        &[
            ("/v3/lease/grant", r#"{"TTL":60,"ID":7}"#),
            ("/v3/kv/lease/timetolive", r#"{"ID":7}"#),
            ("/v3/kv/lease/leases", ""),
            ("/v3/kv/lease/revoke", r#"{"ID":7}"#),
        ],
    ),
    (
        "an ID of the server's",
        &[
            ("/v3/lease/grant", r#"{"TTL":"60"}"#),
            ("/v3/lease/leases", "{}"),
        ],
    ),
    (
        "63 bits are exact, as a number and as text",
        &[
            ("/v3/lease/grant", r#"{"TTL":"60","ID":"9007199254740993"}"#),
            ("/v3/lease/grant", r#"{"TTL":60,"ID":9007199254740995}"#),
            (PUT, r#"{"key":"<k>","lease":9007199254740995}"#),
            ("/v3/lease/revoke", r#"{"ID":9007199254740995}"#),
            ALL,
        ],
    ),
    (
        "refused",
        &[
            ("/v3/lease/grant", r#"{"TTL":"60","ID":"7"}"#),
            ("/v3/lease/grant", r#"{"TTL":"60","ID":"7"}"#),
            ("/v3/lease/grant", r#"{"TTL":"9000000001"}"#),
            ("/v3/lease/revoke", r#"{"ID":"404"}"#),
            ("/v3/lease/timetolive", r#"{"ID":"404"}"#),
            ("/v3/lease/keepalive", r#"{"ID":"404"}"#),
        ],
    ),
];

const LOCK: &[(&str, Posts)] = &[
    (
        "lock and unlock",
        &[
            ("/v3/lease/grant", r#"{"TTL":"60","ID":"7"}"#),
            ("/v3/lock/lock", r#"{"name":"<job>","lease":"7"}"#),
            ("/v3/lock/lock", r#"{"name":"<job>","lease":"7"}"#),
            ALL,
            ("/v3/lock/unlock", r#"{"key":"<job/7>"}"#),
            ("/v3/lock/unlock", r#"{"key":"<job/7>"}"#),
            ALL,
        ],
    ),
    (
        "refused",
        &[
            ("/v3/lock/lock", r#"{"name":"<job>","lease":"404"}"#),
            ("/v3/lock/unlock", "{}"),
        ],
    ),
];

const ELECTION: &[(&str, Posts)] = &[
    (
        "from campaign to resignation",
        &[
            ("/v3/lease/grant", r#"{"TTL":"60","ID":"7"}"#),
            (
                "/v3/election/campaign",
                r#"{"name":"<e>","lease":"7","value":"<me>"}"#,
            ),
            ("/v3/election/leader", r#"{"name":"<e>"}"#),
            (
                "/v3/election/proclaim",
                r#"{"leader":{"name":"<e>","key":"<e/7>","rev":"$1","lease":"7"},"value":"<still me>"}"#,
            ),
            ("/v3/election/leader", r#"{"name":"<e>"}"#),
            (
                "/v3/election/resign",
                r#"{"leader":{"name":"<e>","key":"<e/7>","rev":"$1","lease":"7"}}"#,
            ),
            ("/v3/election/leader", r#"{"name":"<e>"}"#),
        ],
    ),
    (
        "refused",
        &[
            ("/v3/election/leader", r#"{"name":"<e>"}"#),
            ("/v3/election/proclaim", r#"{"value":"<x>"}"#),
            ("/v3/election/resign", "{}"),
            ("/v3/election/campaign", r#"{"name":"<e>","lease":"404"}"#),
        ],
    ),
];

const CLUSTER: &[(&str, Posts)] = &[
    (
        "members",
        &[
            ("/v3/cluster/member/list", "{}"),
            ("/v3/cluster/member/list", r#"{"linearizable":true}"#),
        ],
    ),
    (
        "refused",
        &[
            ("/v3/cluster/member/add", "{}"),
            ("/v3/cluster/member/add", r#"{"peerURLs":["nonsense"]}"#),
            ("/v3/cluster/member/remove", r#"{"ID":"404"}"#),
            (
                "/v3/cluster/member/update",
                r#"{"ID":"404","peerURLs":["http://127.0.0.1:1"]}"#,
            ),
            ("/v3/cluster/member/promote", r#"{"ID":"404"}"#),
        ],
    ),
];

const MAINTENANCE: &[(&str, Posts)] = &[
    ("status", &[("/v3/maintenance/status", "{}")]),
    (
        "alarms",
        &[
            (
                "/v3/maintenance/alarm",
                r#"{"action":"ACTIVATE","memberID":"404","alarm":"NOSPACE"}"#,
            ),
            ("/v3/maintenance/alarm", r#"{"action":"GET"}"#),
            (
                "/v3/maintenance/alarm",
                r#"{"action":2,"memberID":404,"alarm":1}"#,
            ),
            ("/v3/maintenance/alarm", "{}"),
        ],
    ),
    (
        "hashes",
        &[
            ("/v3/maintenance/hash", "{}"),
            ("/v3/maintenance/hashkv", r#"{"revision":"0"}"#),
            ("/v3/maintenance/hashkv", r#"{"revision":"$0"}"#),
            ("/v3/maintenance/hashkv", r#"{"revision":"$9"}"#),
        ],
    ),
    (
        "answers without a header",
        &[("/v3/maintenance/defragment", "{}")],
    ),
    (
        "leaders and downgrades",
        &[
            (
                "/v3/maintenance/transfer-leadership",
                r#"{"targetID":"404"}"#,
            ),
            (
                "/v3/maintenance/downgrade",
                r#"{"action":"VALIDATE","version":"3.6.0"}"#,
            ),
            ("/v3/maintenance/downgrade", r#"{"action":"CANCEL"}"#),
        ],
    ),
];
