//! Counters and gauges under etcd's names, for the dashboards and alerts that know them.
//!
//! One set for the process, as the Prometheus client has it. Gauges that mirror the store are read
//! when somebody scrapes.

mod doors;

use std::collections::HashMap;
use std::sync::LazyLock;
use std::time::Duration;

use latchd_proto::FILE_DESCRIPTOR_SET;
use prometheus::{
    Encoder, Histogram, HistogramOpts, HistogramTimer, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry, TextEncoder,
};
use prost::Message;
use prost_types::{FileDescriptorSet, MethodDescriptorProto};
use tonic::Code;

use crate::version;

/// etcd's, for a request that is slow to apply.
const SLOW_APPLY: Duration = Duration::from_millis(100);

/// The process's metrics.
pub static METRICS: LazyLock<Metrics> = LazyLock::new(Metrics::new);

/// Everything that `/metrics` tells; the names are etcd 3.7.1's.
pub struct Metrics {
    registry: Registry,
    /// `grpc_server_started_total` and `grpc_server_handled_total`.
    calls: HashMap<String, Call>,
    /// `etcd_server_proposals_committed_total`: here the same as the next.
    committed: IntGauge,
    /// `etcd_server_proposals_applied_total`.
    applied: IntGauge,
    /// `etcd_server_slow_apply_total`.
    slow: IntCounter,
    /// `etcd_server_proposals_failed_total`: commands that were refused.
    pub proposals_failed: IntCounter,
    /// `etcd_server_proposals_pending`.
    pub proposals_pending: IntGauge,
    /// `etcd_disk_backend_commit_duration_seconds`.
    commit: Histogram,
    /// `etcd_disk_backend_defrag_duration_seconds`.
    defrag: Histogram,
    /// `etcd_disk_defrag_inflight`.
    defrags: IntGauge,
    /// `etcd_network_client_grpc_received_bytes_total`: here all that connections brought.
    pub bytes_received: IntCounter,
    /// `etcd_network_client_grpc_sent_bytes_total`: here all that they took.
    pub bytes_sent: IntCounter,
    /// `etcd_mvcc_put_total`.
    pub puts: IntCounter,
    /// `etcd_mvcc_delete_total`.
    pub deletes: IntCounter,
    /// `etcd_mvcc_txn_total`.
    pub txns: IntCounter,
    /// `etcd_mvcc_range_total`.
    pub ranges: IntCounter,
    /// `etcd_debugging_mvcc_events_total`: events left for watchers.
    pub events: IntCounter,
    /// `etcd_debugging_mvcc_watcher_total`.
    pub watchers: IntGauge,
    /// `etcd_debugging_mvcc_watch_stream_total`.
    pub watch_streams: IntGauge,
    /// `etcd_debugging_lease_granted_total`.
    pub leases_granted: IntCounter,
    /// `etcd_debugging_lease_revoked_total`.
    pub leases_revoked: IntCounter,
    /// `etcd_debugging_server_lease_expired_total`.
    pub leases_expired: IntCounter,
    /// `etcd_debugging_lease_renewed_total`.
    pub leases_renewed: IntCounter,
    /// `etcd_server_health_success`.
    pub health_success: IntCounter,
    /// `etcd_server_health_failures`.
    pub health_failures: IntCounter,
    /// `latchd_sessions`: sessions of `latchd.v1` with an open stream.
    pub sessions: IntGauge,
    /// `latchd_deadlocks_aborted_total`.
    pub deadlocks_aborted: IntCounter,
    /// `latchd_deadlocks_reported_total`.
    pub deadlocks_reported: IntCounter,
    /// Those of the doors of older lock servers.
    pub doors: doors::Doors,
    locks: Locks,
    scraped: Scraped,
}

/// Gauges that are set when somebody asks.
struct Scraped {
    size: IntGauge,
    size_in_use: IntGauge,
    quota: IntGauge,
    revision: IntGauge,
    compacted: IntGauge,
    server_id: IntGaugeVec,
}

/// What the store says at the time of a scrape.
#[derive(Clone, Copy, Debug)]
pub struct StoreFigures {
    /// Bytes of the data file.
    pub size: u64,
    /// The quota in bytes; negative for none.
    pub quota: i64,
    /// The last revision.
    pub revision: i64,
    /// The compacted revision.
    pub compacted: i64,
    /// The member's ID.
    pub member_id: u64,
}

/// Registers metrics; a name that is taken is a bug that any start shows.
struct Register(Registry);

impl Register {
    fn counter(&self, name: &str, help: &str) -> IntCounter {
        self.add(IntCounter::new(name, help))
    }

    fn gauge(&self, name: &str, help: &str) -> IntGauge {
        self.add(IntGauge::new(name, help))
    }

    fn counters(&self, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
        self.add(IntCounterVec::new(Opts::new(name, help), labels))
    }

    fn gauges(&self, name: &str, help: &str, label: &str) -> IntGaugeVec {
        self.add(IntGaugeVec::new(Opts::new(name, help), &[label]))
    }

    fn add<M>(&self, metric: prometheus::Result<M>) -> M
    where
        M: prometheus::core::Collector + Clone + 'static,
    {
        let metric = metric.expect("the names and labels are valid");
        let registered = self.0.register(Box::new(metric.clone()));
        registered.expect("each name is registered once");
        metric
    }
}

impl Metrics {
    fn new() -> Metrics {
        let registry = Registry::new();
        let register = Register(registry.clone());
        let r = &register;
        constants(r);
        nevers(r);
        let process = prometheus::process_collector::ProcessCollector::for_self();
        registry
            .register(Box::new(process))
            .expect("each name is registered once");
        let call = ["grpc_type", "grpc_service", "grpc_method"];
        let outcome = ["grpc_type", "grpc_service", "grpc_method", "grpc_code"];
        let started = r.counters("grpc_server_started_total", "RPCs that began.", &call);
        let handled = r.counters("grpc_server_handled_total", "RPCs that ended.", &outcome);
        let seconds = HistogramOpts::new(
            "etcd_disk_backend_commit_duration_seconds",
            "How long commits took, the disk's sync included.",
        );
        let buckets = prometheus::exponential_buckets(0.0001, 2.0, 16);
        let seconds = seconds.buckets(buckets.expect("the bounds rise"));
        Metrics {
            calls: calls(&started, &handled),
            committed: r.gauge(
                "etcd_server_proposals_committed_total",
                "Commands that are durable.",
            ),
            applied: r.gauge(
                "etcd_server_proposals_applied_total",
                "Commands that were applied; the same number, for both happen at once.",
            ),
            slow: r.counter(
                "etcd_server_slow_apply_total",
                "Batches of commands that took longer than 100 ms to become durable.",
            ),
            proposals_failed: r.counter(
                "etcd_server_proposals_failed_total",
                "Commands that were refused because the queue was full.",
            ),
            proposals_pending: r.gauge(
                "etcd_server_proposals_pending",
                "Commands of clients that wait for the writer.",
            ),
            commit: r.add(Histogram::with_opts(seconds)),
            defrag: r.add(Histogram::with_opts(defrag_seconds())),
            defrags: r.gauge(
                "etcd_disk_defrag_inflight",
                "Whether the file is being defragmented.",
            ),
            bytes_received: r.counter(
                "etcd_network_client_grpc_received_bytes_total",
                "Bytes that came over connections, HTTP's own among them.",
            ),
            bytes_sent: r.counter(
                "etcd_network_client_grpc_sent_bytes_total",
                "Bytes that went over connections, HTTP's own among them.",
            ),
            puts: r.counter("etcd_mvcc_put_total", "Keys put."),
            deletes: r.counter("etcd_mvcc_delete_total", "Keys deleted."),
            txns: r.counter("etcd_mvcc_txn_total", "Txns run."),
            ranges: r.counter("etcd_mvcc_range_total", "Ranges answered."),
            events: r.counter(
                "etcd_debugging_mvcc_events_total",
                "Events left for watchers.",
            ),
            watchers: r.gauge("etcd_debugging_mvcc_watcher_total", "Watches there are."),
            watch_streams: r.gauge(
                "etcd_debugging_mvcc_watch_stream_total",
                "Streams of watches there are, lock waiters' among them.",
            ),
            leases_granted: r.counter("etcd_debugging_lease_granted_total", "Leases granted."),
            leases_revoked: r.counter(
                "etcd_debugging_lease_revoked_total",
                "Leases revoked or expired.",
            ),
            leases_expired: r.counter(
                "etcd_debugging_server_lease_expired_total",
                "Leases that nobody renewed in time.",
            ),
            leases_renewed: r.counter("etcd_debugging_lease_renewed_total", "Leases renewed."),
            health_success: r.counter("etcd_server_health_success", "Health checks that passed."),
            health_failures: r.counter("etcd_server_health_failures", "Health checks that failed."),
            sessions: r.gauge(
                "latchd_sessions",
                "Sessions of latchd.v1 whose stream is open.",
            ),
            deadlocks_aborted: r.counter(
                "latchd_deadlocks_aborted_total",
                "Deadlocks that ended with a wait of latchd.v1 being aborted.",
            ),
            deadlocks_reported: r.counter(
                "latchd_deadlocks_reported_total",
                "Deadlocks in which no wait was this server's to abort.",
            ),
            doors: doors::Doors::new(r),
            locks: Locks::new(r),
            scraped: Scraped::new(r),
            registry,
        }
    }

    /// The counters of an RPC, by its path; `None` for one that is not served, which must not
    /// become a label.
    #[must_use]
    pub fn call(&self, path: &str) -> Option<&Call> {
        self.calls.get(path)
    }

    /// A commit of so many commands has ended.
    pub fn batch(&self, commands: usize, took: Duration) {
        let commands = i64::try_from(commands).unwrap_or(i64::MAX);
        self.committed.add(commands);
        self.applied.add(commands);
        self.commit.observe(took.as_secs_f64());
        if took > SLOW_APPLY {
            self.slow.inc();
        }
    }

    /// So many keys hold locks, and so many wait; counted from the first use of `latchd.v1` on.
    pub fn locks(&self, holding: usize, waiting: usize) {
        let count = |keys| i64::try_from(keys).unwrap_or(i64::MAX);
        self.locks.holding.set(count(holding));
        self.locks.waiting.set(count(waiting));
    }

    /// A lock was granted, after so long in its queue.
    pub fn lock_waited(&self, time: Duration) {
        self.locks.waited.observe(time.as_secs_f64());
    }

    /// A lock is free again, after so long.
    pub fn lock_held(&self, time: Duration) {
        self.locks.held.observe(time.as_secs_f64());
    }

    /// The file is being defragmented until this is dropped.
    #[must_use]
    pub fn defragmenting(&self) -> Defragmenting<'_> {
        self.defrags.inc();
        Defragmenting {
            inflight: &self.defrags,
            _timer: self.defrag.start_timer(),
        }
    }

    /// Everything, in Prometheus's text format.
    #[must_use]
    pub fn text(&self, figures: StoreFigures) -> String {
        self.scraped.set(figures);
        let mut text = Vec::new();
        // Writing to memory does not fail, and all names are ASCII.
        let _ = TextEncoder::new().encode(&self.registry.gather(), &mut text);
        String::from_utf8(text).unwrap_or_default()
    }
}

/// A defragmentation that has begun.
pub struct Defragmenting<'m> {
    inflight: &'m IntGauge,
    /// Observes when it is dropped.
    _timer: HistogramTimer,
}

impl Drop for Defragmenting<'_> {
    fn drop(&mut self) {
        self.inflight.dec();
    }
}

/// What the book of locks says.
struct Locks {
    holding: IntGauge,
    waiting: IntGauge,
    waited: Histogram,
    held: Histogram,
}

impl Locks {
    fn new(r: &Register) -> Locks {
        let seconds = |name: &str, help: &str| {
            let buckets = prometheus::exponential_buckets(0.001, 4.0, 12);
            let options = HistogramOpts::new(name, help).buckets(buckets.expect("the bounds rise"));
            r.add(Histogram::with_opts(options))
        };
        Locks {
            holding: r.gauge("latchd_lock_holders", "Keys that hold locks."),
            waiting: r.gauge("latchd_lock_waiters", "Keys that wait for locks."),
            waited: seconds(
                "latchd_lock_wait_seconds",
                "How long locks were waited for until they were granted.",
            ),
            held: seconds("latchd_lock_hold_seconds", "How long locks were held."),
        }
    }
}

fn defrag_seconds() -> HistogramOpts {
    let seconds = HistogramOpts::new(
        "etcd_disk_backend_defrag_duration_seconds",
        "How long defragmentation took.",
    );
    let buckets = prometheus::exponential_buckets(0.1, 2.0, 13);
    seconds.buckets(buckets.expect("the bounds rise"))
}

/// What only a cluster of several members has: never, here.
fn nevers(r: &Register) {
    for (name, help) in [
        (
            "etcd_server_heartbeat_send_failures_total",
            "Heartbeats that failed: there are none.",
        ),
        (
            "etcd_server_read_indexes_failed_total",
            "Reads that no quorum vouched for: none is needed.",
        ),
        (
            "etcd_server_slow_read_indexes_total",
            "Reads that a quorum vouched for slowly: none is needed.",
        ),
    ] {
        r.counter(name, help);
    }
}

/// What never changes: the versions, and that the one member leads.
fn constants(r: &Register) {
    r.gauge(
        "etcd_server_has_leader",
        "Whether there is a leader: itself.",
    )
    .set(1);
    r.gauge(
        "etcd_server_is_leader",
        "Whether this member leads: always.",
    )
    .set(1);
    r.counter(
        "etcd_server_leader_changes_seen_total",
        "Changes of leader: its own start.",
    )
    .inc();
    r.gauges(
        "etcd_server_version",
        "The etcd whose behaviour is served.",
        "server_version",
    )
    .with_label_values(&[version::ETCD])
    .set(1);
    r.gauges(
        "etcd_cluster_version",
        "The cluster version of that etcd.",
        "cluster_version",
    )
    .with_label_values(&[version::CLUSTER_SHORT])
    .set(1);
    r.gauges("latchd_version", "latchd's own version.", "version")
        .with_label_values(&[version::LATCHD])
        .set(1);
}

impl Scraped {
    fn new(r: &Register) -> Scraped {
        Scraped {
            size: r.gauge(
                "etcd_mvcc_db_total_size_in_bytes",
                "The data file, in bytes.",
            ),
            size_in_use: r.gauge(
                "etcd_mvcc_db_total_size_in_use_in_bytes",
                "The data file, in bytes, as Status has it.",
            ),
            quota: r.gauge(
                "etcd_server_quota_backend_bytes",
                "The data file's quota, in bytes.",
            ),
            revision: r.gauge("etcd_debugging_mvcc_current_revision", "The last revision."),
            compacted: r.gauge(
                "etcd_debugging_mvcc_compact_revision",
                "The compacted revision.",
            ),
            server_id: r.gauges(
                "etcd_server_id",
                "The member's ID, in hexadecimal.",
                "server_id",
            ),
        }
    }

    fn set(&self, figures: StoreFigures) {
        let size = i64::try_from(figures.size).unwrap_or(i64::MAX);
        self.size.set(size);
        self.size_in_use.set(size);
        self.quota.set(figures.quota);
        self.revision.set(figures.revision);
        self.compacted.set(figures.compacted);
        let id = format!("{:x}", figures.member_id);
        self.server_id.with_label_values(&[&id]).set(1);
    }
}

/// The counters of one RPC, labelled as grpc-go's Prometheus middleware does.
pub struct Call {
    /// Whether requests or responses come as a stream.
    pub is_stream: bool,
    /// `/service/method`.
    pub path: String,
    labels: [String; 3],
    started: IntCounter,
    succeeded: IntCounter,
    handled: IntCounterVec,
}

impl Call {
    /// It begins.
    pub fn begin(&self) {
        self.started.inc();
    }

    /// It has ended.
    pub fn end(&self, code: Code) {
        if code == Code::Ok {
            return self.succeeded.inc();
        }
        let [kind, service, method] = &self.labels;
        let labels = [kind, service, method, code_name(code)];
        self.handled.with_label_values(&labels).inc();
    }
}

/// The counters of every RPC that etcd defines, by path.
fn calls(started: &IntCounterVec, handled: &IntCounterVec) -> HashMap<String, Call> {
    let described = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET);
    let files = described.expect("the descriptor set was compiled in").file;
    let mut calls = HashMap::new();
    for file in files {
        for service in &file.service {
            for method in &service.method {
                let service = format!("{}.{}", file.package(), service.name());
                let call = call_of(service, method, started, handled);
                calls.insert(call.path.clone(), call);
            }
        }
    }
    calls
}

fn call_of(
    service: String,
    method: &MethodDescriptorProto,
    started: &IntCounterVec,
    handled: &IntCounterVec,
) -> Call {
    let kind = match (method.client_streaming(), method.server_streaming()) {
        (true, true) => "bidi_stream",
        (true, false) => "client_stream",
        (false, true) => "server_stream",
        (false, false) => "unary",
    };
    let method = method.name();
    Call {
        is_stream: kind != "unary",
        path: format!("/{service}/{method}"),
        started: started.with_label_values(&[kind, &service, method]),
        succeeded: handled.with_label_values(&[kind, &service, method, "OK"]),
        handled: handled.clone(),
        labels: [kind.to_owned(), service.clone(), method.to_owned()],
    }
}

/// A code as grpc-go spells it.
fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "Canceled",
        Code::Unknown => "Unknown",
        Code::InvalidArgument => "InvalidArgument",
        Code::DeadlineExceeded => "DeadlineExceeded",
        Code::NotFound => "NotFound",
        Code::AlreadyExists => "AlreadyExists",
        Code::PermissionDenied => "PermissionDenied",
        Code::ResourceExhausted => "ResourceExhausted",
        Code::FailedPrecondition => "FailedPrecondition",
        Code::Aborted => "Aborted",
        Code::OutOfRange => "OutOfRange",
        Code::Unimplemented => "Unimplemented",
        Code::Internal => "Internal",
        Code::Unavailable => "Unavailable",
        Code::DataLoss => "DataLoss",
        Code::Unauthenticated => "Unauthenticated",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_served_becomes_a_label() {
        assert!(
            METRICS
                .call("/etcdserverpb.KV/Range")
                .is_some_and(|call| !call.is_stream)
        );
        assert!(
            METRICS
                .call("/etcdserverpb.Watch/Watch")
                .is_some_and(|call| call.is_stream)
        );
        for unknown in ["/etcdserverpb.KV/Nope", "/nope/Nope", "", "/"] {
            assert!(METRICS.call(unknown).is_none(), "{unknown}");
        }
    }
}
