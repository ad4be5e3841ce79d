//! Compares that few clients send: several of them, bounds, and forms that say
//! nothing or contradict themselves.

use latchd_proto::etcdserverpb::{
    Compare,
    compare::{CompareResult, CompareTarget, TargetUnion},
};

use crate::suite::{Case, IntoOp, Session, everything, put, txn};

/// An equality.
pub(super) fn equal(key: &'static str, target: CompareTarget, with: TargetUnion) -> Compare {
    Compare {
        result: CompareResult::Equal.into(),
        target: target.into(),
        key: key.into(),
        target_union: Some(with),
        ..Default::default()
    }
}

fn version(key: &'static str, version: i64) -> Compare {
    equal(key, CompareTarget::Version, TargetUnion::Version(version))
}

fn value(key: &'static str, value: &'static [u8]) -> Compare {
    equal(key, CompareTarget::Value, TargetUnion::Value(value.into()))
}

pub fn cases() -> Vec<Case> {
    let mut cases = several();
    cases.extend(numbers());
    cases.extend(forms());
    cases
}

fn several() -> Vec<Case> {
    vec![
        asks("none", Vec::new()),
        asks("two that hold", vec![version("k", 2), value("k", b"v")]),
        asks(
            "the first of two holds",
            vec![version("k", 2), value("k", b"w")],
        ),
        asks(
            "the second of two holds",
            vec![version("k", 1), value("k", b"v")],
        ),
        asks("on two keys", vec![version("k", 2), version("missing", 0)]),
        asks("the same twice", vec![version("k", 2), version("k", 2)]),
        asks(
            "values with a common start",
            vec![
                Compare {
                    result: CompareResult::Greater.into(),
                    ..value("k", b"")
                },
                Compare {
                    result: CompareResult::Less.into(),
                    ..value("k", b"v\0")
                },
                Compare {
                    result: CompareResult::Less.into(),
                    ..value("k", b"\xff")
                },
            ],
        ),
    ]
}

fn numbers() -> Vec<Case> {
    let all = [
        (
            "the greatest version",
            CompareTarget::Version,
            TargetUnion::Version(i64::MAX),
        ),
        (
            "the least version",
            CompareTarget::Version,
            TargetUnion::Version(i64::MIN),
        ),
        (
            "a negative create revision",
            CompareTarget::Create,
            TargetUnion::CreateRevision(-1),
        ),
        (
            "the greatest mod revision",
            CompareTarget::Mod,
            TargetUnion::ModRevision(i64::MAX),
        ),
        (
            "a negative lease",
            CompareTarget::Lease,
            TargetUnion::Lease(-1),
        ),
    ];
    let case = |(name, target, with): (&str, CompareTarget, TargetUnion)| {
        Case::new(
            format!("compare: less and greater than {name}"),
            async move |s: &mut Session| {
                s.call(put("k", "v")).await;
                for key in ["k", "missing"] {
                    for result in [
                        CompareResult::Less,
                        CompareResult::Greater,
                        CompareResult::NotEqual,
                    ] {
                        let compare = Compare {
                            result: result.into(),
                            ..equal(key, target, with.clone())
                        };
                        s.call(txn(vec![compare], Vec::new(), Vec::new())).await;
                    }
                }
                Ok(())
            },
        )
    };
    all.into_iter().map(case).collect()
}

fn forms() -> Vec<Case> {
    vec![
        asks("an empty key", vec![version("", 0)]),
        asks(
            "an empty key with an end",
            vec![Compare {
                range_end: "z".into(),
                ..version("", 0)
            }],
        ),
        asks(
            "an unknown target",
            vec![Compare {
                target: 5,
                ..version("k", 2)
            }],
        ),
        asks(
            "a negative target",
            vec![Compare {
                target: -1,
                ..version("k", 2)
            }],
        ),
        asks(
            "an unknown result",
            vec![Compare {
                result: 4,
                ..version("k", 2)
            }],
        ),
        asks(
            "an unknown result on a missing key",
            vec![Compare {
                result: 4,
                ..version("missing", 2)
            }],
        ),
        asks(
            "no number at all: zero",
            vec![Compare {
                target_union: None,
                ..version("k", 2)
            }],
        ),
        asks(
            "no number at all on a missing key",
            vec![Compare {
                target_union: None,
                ..version("missing", 0)
            }],
        ),
        asks(
            "no value at all: empty",
            vec![Compare {
                target_union: None,
                ..value("k", b"")
            }],
        ),
        asks(
            "no value at all on a missing key",
            vec![Compare {
                target_union: None,
                ..value("missing", b"")
            }],
        ),
        asks(
            "another number than the target's",
            vec![Compare {
                target: CompareTarget::Mod.into(),
                ..version("k", 2)
            }],
        ),
        asks(
            "a value where a number belongs",
            vec![Compare {
                target: CompareTarget::Version.into(),
                ..value("k", b"v")
            }],
        ),
        asks(
            "a number where a value belongs",
            vec![Compare {
                target: CompareTarget::Value.into(),
                ..version("k", 2)
            }],
        ),
        asks(
            "a range of one zero byte: all from the key",
            vec![Compare {
                range_end: (&b"\0"[..]).into(),
                ..version("k", 2)
            }],
        ),
        asks(
            "everything there is",
            vec![Compare {
                key: (&b"\0"[..]).into(),
                range_end: (&b"\0"[..]).into(),
                ..version("", 2)
            }],
        ),
        asks(
            "a range that ends where it begins",
            vec![Compare {
                range_end: "k".into(),
                ..version("k", 9)
            }],
        ),
    ]
}

/// The compares on a key of version 2; what then happens tells which way it went.
fn asks(name: &str, compare: Vec<Compare>) -> Case {
    Case::new(format!("compare: {name}"), async move |s: &mut Session| {
        s.call(put("k", "u")).await;
        s.call(put("k", "v")).await;
        let (yes, no) = (put("way", "success").op(), put("way", "failure").op());
        s.call(txn(compare.clone(), vec![yes], vec![no])).await;
        s.call(everything()).await;
        Ok(())
    })
}
