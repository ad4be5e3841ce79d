//! gRPC's health service.

use anyhow::{Context, Result};
use prost::Message;
use serde_json::Value;

use crate::suite::{
    Case, Session,
    session::PATIENCE,
    standard::{HealthCheckRequest, HealthCheckResponse, HealthListRequest, HealthListResponse},
    stream::Stream,
};

const CHECK: &str = "/grpc.health.v1.Health/Check";
const WATCH: &str = "/grpc.health.v1.Health/Watch";
const LIST: &str = "/grpc.health.v1.Health/List";

pub fn cases() -> Vec<Case> {
    let services = [
        ("the whole server", ""),
        ("a service that runs", "etcdserverpb.KV"),
        ("an unknown service", "nonsense"),
        ("itself", "grpc.health.v1.Health"),
        ("a name in other letters", "ETCDSERVERPB.KV"),
    ];
    let check = |(name, service): (&str, &'static str)| {
        Case::new(format!("check: {name}"), async move |s: &mut Session| {
            let mut stream = asked(s, CHECK, service);
            stream.half_close();
            while s.next(&mut stream).await?.is_some() {}
            Ok(())
        })
    };
    let watch = |(name, service): (&str, &'static str)| {
        Case::new(format!("watch: {name}"), async move |s: &mut Session| {
            let mut stream = asked(s, WATCH, service);
            stream.half_close();
            s.next(&mut stream).await?;
            Ok(())
        })
    };
    let mut cases: Vec<Case> = services.into_iter().map(check).collect();
    cases.extend(services.into_iter().map(watch));
    cases.push(Case::new("list: of all services", list));
    cases
}

fn asked(
    s: &mut Session,
    path: &'static str,
    service: &str,
) -> Stream<HealthCheckRequest, HealthCheckResponse> {
    let mut stream = s.stream("health", path);
    let service = service.to_owned();
    s.send(&mut stream, HealthCheckRequest { service });
    stream
}

/// Go writes an empty name in a map, and prost leaves it out: what is compared is
/// what the message means.
async fn list(s: &mut Session) -> Result<()> {
    let mut stream: Stream<HealthListRequest, HealthListResponse> = s.stream("health", LIST);
    stream.send_raw(HealthListRequest {}.encode_to_vec().into());
    stream.half_close();
    let frame = tokio::time::timeout(PATIENCE, stream.next_raw()).await??;
    let list = HealthListResponse::decode(frame.context("no answer")?)?;
    s.note("Health/List", Value::Null, serde_json::to_value(&list)?);
    s.next(&mut stream).await?;
    Ok(())
}
