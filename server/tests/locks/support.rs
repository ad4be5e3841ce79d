//! A server, its clients, and requests in few words.

use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use futures::channel::mpsc;
use latchd_proto::latchd::v1::locks_client::LocksClient;
use latchd_proto::latchd::v1::session_request::{Heartbeat, Open, Request, Resume};
use latchd_proto::latchd::v1::session_response::{Lost, Opened, Response};
use latchd_proto::latchd::v1::{
    AcquireRequest, AcquireResponse, Hold, ListRequest, Lock, Mode, ReleaseRequest,
    ReleaseResponse, SessionRequest, SessionResponse, VerifyRequest,
};
use tokio::task::JoinHandle;
use tonic::transport::Channel;
use tonic::{Status, Streaming};

use crate::common::{Fixture, soon, until_count};

pub type Client = LocksClient<Channel>;

/// A server and two clients of it.
pub struct Service {
    pub fixture: Fixture,
    pub locks: Client,
    pub etcd: etcd_client::Client,
}

pub async fn client(fixture: &Fixture) -> Client {
    let endpoint = Channel::from_shared(fixture.endpoint()).unwrap();
    LocksClient::new(endpoint.connect().await.unwrap())
}

impl Service {
    pub async fn start() -> Service {
        Service::over(Fixture::start().await).await
    }

    /// For tests of many steps, none of which is about the disk.
    pub async fn without_sync() -> Service {
        Service::over(Fixture::start_with(|config| config.unsafe_no_fsync = true).await).await
    }

    pub async fn over(fixture: Fixture) -> Service {
        Service {
            locks: client(&fixture).await,
            etcd: fixture.client().await,
            fixture,
        }
    }

    pub async fn restart(&mut self) {
        self.fixture.restart().await;
        self.locks = client(&self.fixture).await;
        self.etcd = self.fixture.client().await;
    }

    /// A lease as etcd's clients have them, which outlives every test.
    pub async fn lease(&mut self) -> i64 {
        self.etcd.lease_grant(600, None).await.unwrap().id()
    }

    pub async fn acquire(&self, request: AcquireRequest) -> Result<AcquireResponse, Status> {
        acquire(self.locks.clone(), request).await
    }

    /// An Acquire that must be granted.
    pub async fn hold(&self, request: AcquireRequest) -> Hold {
        let granted = self.acquire(request).await.unwrap();
        granted.holds.into_iter().next().unwrap()
    }

    /// An Acquire that waits as a task of its own.
    pub fn wait(&self, request: AcquireRequest) -> Waiter {
        tokio::spawn(acquire(self.locks.clone(), for_ever(request)))
    }

    /// The same, once its key is there: the directory then has so many.
    pub async fn queue(&mut self, request: AcquireRequest, count: usize) -> Waiter {
        let dir = format!("{}/", String::from_utf8_lossy(&request.names[0]));
        let waiter = self.wait(request);
        until_count(&mut self.etcd, &dir, count).await;
        waiter
    }

    pub async fn release(&self, lease: i64, hold: &Hold) -> Result<ReleaseResponse, Status> {
        self.release_at(lease, 0, hold).await
    }

    pub async fn release_at(
        &self,
        session: i64,
        epoch: i64,
        hold: &Hold,
    ) -> Result<ReleaseResponse, Status> {
        let request = ReleaseRequest {
            session,
            epoch,
            holds: vec![hold.clone()],
            request_id: String::new(),
        };
        Ok(soon(self.locks.clone().release(request))
            .await?
            .into_inner())
    }

    pub async fn cancel(&self, lease: i64, id: &str) -> ReleaseResponse {
        let request = ReleaseRequest {
            session: lease,
            request_id: id.into(),
            ..Default::default()
        };
        let released = soon(self.locks.clone().release(request)).await;
        released.unwrap().into_inner()
    }

    pub async fn is_held(&self, name: &str, token: i64) -> bool {
        let name = Bytes::copy_from_slice(name.as_bytes());
        let request = VerifyRequest { name, token };
        let verified = soon(self.locks.clone().verify(request)).await;
        verified.unwrap().into_inner().held
    }

    pub async fn list(&self) -> Vec<Lock> {
        let listed = soon(self.locks.clone().list(ListRequest::default())).await;
        listed.unwrap().into_inner().locks
    }

    pub async fn session(&self, open: Open) -> Session {
        Session::begin(self.locks.clone(), Request::Open(open))
            .await
            .unwrap()
    }

    pub async fn resume(&self, opened: &Opened) -> Result<Session, Status> {
        let resume = Resume {
            session: opened.session,
            resume_token: opened.resume_token.clone(),
        };
        Session::begin(self.locks.clone(), Request::Resume(resume)).await
    }
}

pub type Waiter = JoinHandle<Result<AcquireResponse, Status>>;

async fn acquire(mut client: Client, request: AcquireRequest) -> Result<AcquireResponse, Status> {
    Ok(client.acquire(request).await?.into_inner())
}

/// What a waiter was granted.
pub async fn granted(waiter: Waiter) -> Hold {
    let granted = soon(waiter).await.unwrap().unwrap();
    granted.holds.into_iter().next().unwrap()
}

/// Why a waiter was refused: the word for programs.
pub async fn refused(waiter: Waiter) -> String {
    reason(&soon(waiter).await.unwrap().unwrap_err())
}

/// A refusal's word for programs.
pub fn reason(status: &Status) -> String {
    let reason = status.metadata().get("latchd-reason");
    let reason = reason.unwrap_or_else(|| panic!("{status:?}"));
    reason.to_str().unwrap().to_owned()
}

/// An Acquire of `names`, without a wait.
pub fn of(names: &[&str], lease: i64) -> AcquireRequest {
    static NEXT: AtomicUsize = AtomicUsize::new(1);
    let id = NEXT.fetch_add(1, Ordering::Relaxed);
    AcquireRequest {
        names: names
            .iter()
            .map(|name| Bytes::copy_from_slice(name.as_bytes()))
            .collect(),
        session: lease,
        request_id: format!("r{id}"),
        ..Default::default()
    }
}

pub fn exclusive(name: &str, lease: i64) -> AcquireRequest {
    of(&[name], lease)
}

pub fn shared(name: &str, lease: i64) -> AcquireRequest {
    AcquireRequest {
        mode: Mode::Shared as i32,
        ..of(&[name], lease)
    }
}

pub fn permit(name: &str, permits: u32, lease: i64) -> AcquireRequest {
    AcquireRequest {
        mode: Mode::Semaphore as i32,
        permits,
        ..of(&[name], lease)
    }
}

pub fn for_ever(request: AcquireRequest) -> AcquireRequest {
    match request.wait_ms {
        0 => within(-1, request),
        _ => request,
    }
}

pub fn within(wait_ms: i64, request: AcquireRequest) -> AcquireRequest {
    AcquireRequest { wait_ms, ..request }
}

/// By a session.
pub fn by(session: &Opened, request: AcquireRequest) -> AcquireRequest {
    AcquireRequest {
        session: session.session,
        epoch: session.epoch,
        ..request
    }
}

pub fn bound(ttl_ms: i64) -> Open {
    Open {
        ttl_ms,
        bound: true,
        grace_ms: 0,
    }
}

pub fn with_grace(ttl_ms: i64) -> Open {
    Open {
        ttl_ms,
        bound: false,
        grace_ms: 0,
    }
}

/// A session's stream. Dropping it loses the connection, as far as the server can tell.
pub struct Session {
    requests: mpsc::UnboundedSender<SessionRequest>,
    responses: Streaming<SessionResponse>,
    pub opened: Opened,
}

impl Session {
    pub async fn begin(mut client: Client, first: Request) -> Result<Session, Status> {
        let (requests, stream) = mpsc::unbounded();
        send(&requests, first);
        let responses = soon(client.session(stream)).await?.into_inner();
        let mut session = Session {
            requests,
            responses,
            opened: Opened::default(),
        };
        match session.next().await? {
            Some(Response::Opened(opened)) => session.opened = opened,
            other => panic!("{other:?}"),
        }
        Ok(session)
    }

    pub fn send(&self, request: Request) {
        send(&self.requests, request);
    }

    pub async fn next(&mut self) -> Result<Option<Response>, Status> {
        let response = soon(self.responses.message()).await?;
        Ok(response.map(|response| response.response.unwrap()))
    }

    pub async fn heartbeat(&mut self) -> Response {
        self.send(Request::Heartbeat(Heartbeat {}));
        self.next().await.unwrap().unwrap()
    }

    pub async fn lost(&mut self) -> Lost {
        match self.next().await.unwrap() {
            Some(Response::Lost(lost)) => lost,
            other => panic!("{other:?}"),
        }
    }

    /// Why it ended; nothing comes after it.
    pub async fn ended(&mut self) -> i32 {
        let reason = match self.next().await.unwrap() {
            Some(Response::Ended(ended)) => ended.reason,
            other => panic!("{other:?}"),
        };
        assert_eq!(self.next().await.unwrap(), None);
        reason
    }
}

fn send(requests: &mpsc::UnboundedSender<SessionRequest>, request: Request) {
    let request = Some(request);
    // An error says that the stream has ended; with what is read next.
    let _ = requests.unbounded_send(SessionRequest { request });
}

/// A sequence of numbers that is the same in every run.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Dice {
        // Seeds may be one after the other; what begins with them must not be.
        let mixed = seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Dice(mixed | 1)
    }

    pub fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from((self.0 >> 16) % u64::try_from(end).unwrap()).unwrap()
    }
}
