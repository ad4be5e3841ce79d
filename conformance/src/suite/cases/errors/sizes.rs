//! Errors about how large a request is.

use latchd_proto::etcdserverpb::{PutRequest, PutResponse, RangeRequest};

use crate::suite::{Case, IntoOp, Session, all_of, everything, put};

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// A Put whose value has this many bytes.
fn of(bytes: usize) -> PutRequest {
    put("k", vec![b'v'; bytes])
}

pub fn cases() -> Vec<Case> {
    vec![
        Case::new("request is too large", async |s: &mut Session| {
            // Around 1.5 MiB, less what surrounds a request.
            for bytes in [1536 * KIB - 100, 1536 * KIB + 1, 1900 * KIB] {
                s.call(of(bytes)).await;
            }
            count(s).await;
            Ok(())
        }),
        Case::new(
            "request is too large, of many small parts",
            async |s: &mut Session| {
                let puts = |count: usize| {
                    let puts =
                        (0..count).map(|at| put(format!("k{at}"), vec![b'v'; 100 * KIB]).op());
                    all_of(puts.collect())
                };
                s.call(puts(15)).await;
                s.call(puts(16)).await;
                count(s).await;
                Ok(())
            },
        ),
        Case::new(
            "received message larger than max",
            async |s: &mut Session| {
                s.call(of(2 * MIB + 1)).await;
                s.call(of(3 * MIB)).await;
                s.call(of(5 * MIB)).await;
                let path = "/etcdserverpb.KV/Put";
                s.raw::<PutResponse>(path, &[&vec![0xff; 2 * MIB + 1]])
                    .await?;
                count(s).await;
                Ok(())
            },
        ),
        Case::new(
            "request is too large, by --max-request-bytes",
            async |s: &mut Session| {
                for bytes in [900, 1_100, 400 * KIB] {
                    s.call(of(bytes)).await;
                }
                s.call(of(600 * KIB)).await;
                count(s).await;
                Ok(())
            },
        )
        .on_own_servers(&["--max-request-bytes=1000"]),
    ]
}

async fn count(s: &mut Session) {
    s.call(RangeRequest {
        count_only: true,
        ..everything()
    })
    .await;
}
