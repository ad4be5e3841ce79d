//! What is no message, or one only for a lenient reader. Of a refusal, status and
//! code are compared; of what is taken, everything.

use crate::suite::{Case, Http, Session};

pub fn cases() -> Vec<Case> {
    let case = |(name, path, bodies): &(&str, &'static str, &'static [&'static str])| {
        let (path, bodies) = (*path, *bodies);
        Case::new(format!("json: {name}"), async move |s: &mut Session| {
            for body in bodies {
                let body = s.filled(body);
                s.http_code(Http::post(path, &body)).await?;
            }
            s.post("/v3/kv/range", r#"{"key":"AA==","range_end":"AA=="}"#)
                .await?;
            Ok(())
        })
    };
    ALL.iter().map(case).collect()
}

const PUT: &str = "/v3/kv/put";
const RANGE: &str = "/v3/kv/range";
const TXN: &str = "/v3/kv/txn";
const GRANT: &str = "/v3/lease/grant";

/// A name, the path, and bodies that are posted one by one.
const ALL: &[(&str, &str, &[&str])] = &[
    ("no body at all", RANGE, &["", " ", "\n"]),
    (
        "no JSON",
        RANGE,
        &[
            "x",
            "{",
            "}",
            "{\"key\"",
            "{\"key\":}",
            "{'key':'YQ=='}",
            "{key:\"YQ==\"}",
            "{\"key\":\"YQ==\",}",
            "\u{feff}{}",
        ],
    ),
    (
        "another value than an object",
        RANGE,
        &["[]", "\"x\"", "1", "true", "null", "[{}]"],
    ),
    (
        "something after it",
        RANGE,
        &[
            "{\"key\":\"<k>\"}x",
            "{\"key\":\"<k>\"}{\"key\":\"<l>\"}",
            "{\"key\":\"<k>\"} ",
            "{\"key\":\"<k>\"}]",
        ],
    ),
    (
        "bytes that are no base64",
        PUT,
        &[
            "{\"key\":\"*\"}",
            "{\"key\":\"YQ=\"}",
            "{\"key\":\"Y\"}",
            "{\"key\":\"YQ===\"}",
            "{\"key\":\"Y Q==\"}",
        ],
    ),
    (
        "base64 of other kinds",
        PUT,
        &[
            "{\"key\":\"YQ\"}",
            "{\"key\":\"_-8\"}",
            "{\"key\":\"/+8=\"}",
            "{\"key\":\"_-8=\"}",
            "{\"key\":\"YR==\"}",
        ],
    ),
    (
        "bytes of another type",
        PUT,
        &[
            "{\"key\":1}",
            "{\"key\":true}",
            "{\"key\":{}}",
            "{\"key\":[]}",
            "{\"key\":[97]}",
        ],
    ),
    (
        "null for anything",
        PUT,
        &[
            "{\"key\":\"<k>\",\"value\":null,\"lease\":null,\"prev_kv\":null}",
            "{\"key\":null}",
        ],
    ),
    (
        "numbers that are integers all the same",
        RANGE,
        &[
            "{\"key\":\"<k>\",\"limit\":1.0}",
            "{\"key\":\"<k>\",\"limit\":1e3}",
            "{\"key\":\"<k>\",\"limit\":\"1e3\"}",
            "{\"key\":\"<k>\",\"limit\":\"1.0\"}",
            "{\"key\":\"<k>\",\"limit\":10e-1}",
            "{\"key\":\"<k>\",\"limit\":-0}",
        ],
    ),
    (
        "numbers that are no integers",
        RANGE,
        &[
            "{\"key\":\"<k>\",\"limit\":1.5}",
            "{\"key\":\"<k>\",\"limit\":\"1.5\"}",
            "{\"key\":\"<k>\",\"limit\":1e-1}",
            "{\"key\":\"<k>\",\"limit\":\"\"}",
            "{\"key\":\"<k>\",\"limit\":\" 1\"}",
            "{\"key\":\"<k>\",\"limit\":\"1 \"}",
            "{\"key\":\"<k>\",\"limit\":\"x\"}",
            "{\"key\":\"<k>\",\"limit\":\"0x1\"}",
            "{\"key\":\"<k>\",\"limit\":\"NaN\"}",
        ],
    ),
    (
        "numbers in other dress",
        RANGE,
        &[
            "{\"key\":\"<k>\",\"limit\":01}",
            "{\"key\":\"<k>\",\"limit\":\"01\"}",
            "{\"key\":\"<k>\",\"limit\":+1}",
            "{\"key\":\"<k>\",\"limit\":\"+1\"}",
            "{\"key\":\"<k>\",\"limit\":.5}",
            "{\"key\":\"<k>\",\"limit\":1.}",
        ],
    ),
    (
        "numbers of 64 bits and more",
        GRANT,
        &[
            "{\"TTL\":60,\"ID\":9223372036854775807}",
            "{\"TTL\":60,\"ID\":9223372036854775808}",
            "{\"TTL\":60,\"ID\":\"9223372036854775808\"}",
            "{\"TTL\":60,\"ID\":-9223372036854775809}",
            "{\"TTL\":60,\"ID\":1e19}",
            "{\"TTL\":60,\"ID\":1e400}",
        ],
    ),
    (
        "unsigned numbers",
        "/v3/maintenance/transfer-leadership",
        &[
            "{\"targetID\":-1}",
            "{\"targetID\":18446744073709551615}",
            "{\"targetID\":18446744073709551616}",
            "{\"targetID\":\"-0\"}",
        ],
    ),
    (
        "numbers of another type",
        RANGE,
        &[
            "{\"key\":\"<k>\",\"limit\":true}",
            "{\"key\":\"<k>\",\"limit\":[]}",
            "{\"key\":\"<k>\",\"limit\":{}}",
        ],
    ),
    (
        "truth of another type",
        RANGE,
        &[
            "{\"key\":\"<k>\",\"keys_only\":1}",
            "{\"key\":\"<k>\",\"keys_only\":\"true\"}",
            "{\"key\":\"<k>\",\"keys_only\":\"\"}",
            "{\"key\":\"<k>\",\"keys_only\":[]}",
        ],
    ),
    (
        "fields that nobody knows",
        PUT,
        &[
            "{\"key\":\"<k>\",\"nonsense\":1}",
            "{\"key\":\"<l>\",\"nonsense\":{\"a\":[1,{\"b\":null}]}}",
            "{\"key\":\"<m>\",\"\":0}",
        ],
    ),
    (
        "names in camel case",
        RANGE,
        &[
            "{\"key\":\"<k>\",\"rangeEnd\":\"<l>\",\"sortOrder\":\"DESCEND\",\"countOnly\":true}",
            "{\"key\":\"<k>\",\"RangeEnd\":\"<l>\"}",
            "{\"KEY\":\"<k>\"}",
        ],
    ),
    (
        "a field twice",
        PUT,
        &[
            "{\"key\":\"<k>\",\"key\":\"<l>\"}",
            "{\"key\":\"<k>\",\"prev_kv\":true,\"prevKv\":false}",
        ],
    ),
    (
        "enums by name and number",
        RANGE,
        &[
            "{\"key\":\"<k>\",\"sort_order\":\"DESCEND\"}",
            "{\"key\":\"<k>\",\"sort_order\":2}",
            "{\"key\":\"<k>\",\"sort_order\":\"2\"}",
            "{\"key\":\"<k>\",\"sort_order\":null}",
        ],
    ),
    (
        "enums that are unknown",
        RANGE,
        &[
            "{\"key\":\"<k>\",\"sort_order\":\"NONSENSE\"}",
            "{\"key\":\"<k>\",\"sort_order\":9}",
            "{\"key\":\"<k>\",\"sort_target\":-1}",
            "{\"key\":\"<k>\",\"sort_order\":\"descend\"}",
            "{\"key\":\"<k>\",\"sort_order\":1.5}",
            "{\"key\":\"<k>\",\"sort_order\":true}",
            "{\"key\":\"<k>\",\"sort_order\":9999999999}",
        ],
    ),
    (
        "lists of another type",
        TXN,
        &[
            "{\"compare\":{}}",
            "{\"compare\":\"x\"}",
            "{\"compare\":[1]}",
            "{\"compare\":[null]}",
            "{\"compare\":null}",
            "{\"success\":[[]]}",
        ],
    ),
    (
        "messages of another type",
        TXN,
        &[
            "{\"success\":[{\"request_put\":1}]}",
            "{\"success\":[{\"request_put\":[]}]}",
            "{\"success\":[{\"request_put\":null}]}",
            "{\"success\":[{\"nonsense\":{}}]}",
        ],
    ),
    (
        "one of several, given twice",
        TXN,
        &[
            "{\"success\":[{\"request_put\":{\"key\":\"<a>\"},\"request_range\":{\"key\":\"<a>\"}}]}",
            "{\"compare\":[{\"key\":\"<a>\",\"version\":\"1\",\"lease\":\"1\"}]}",
        ],
    ),
    (
        "text that is no UTF-8's",
        "/v3/cluster/member/update",
        &[
            "{\"ID\":\"404\",\"peerURLs\":[\"\\ud800\"]}",
            "{\"ID\":\"404\",\"peerURLs\":[\"\\u0000\"]}",
            "{\"ID\":\"404\",\"peerURLs\":\"x\"}",
            "{\"ID\":\"404\",\"peerURLs\":[1]}",
        ],
    ),
    (
        "nested very deep",
        RANGE,
        &[
            "{\"x\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]],\"key\":\"<k>\"}",
        ],
    ),
];
