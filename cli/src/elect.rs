//! `latchctl elect`: campaign and lead, or observe.

use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use latchd_client::{Election, Error, Leader, Leadership, Loss, Session, SessionOptions};

use crate::args::ElectArgs;
use crate::context::Context;
use crate::exit::{self, Failure, SUCCESS, system};
use crate::hold::{self, Held, Signals, unless_signalled};
use crate::output::Output;

/// Leads while the command runs, or observes; the exit code to end with.
pub async fn run(context: &Context, request: &ElectArgs) -> Result<u8, Failure> {
    match &request.value {
        Some(value) => campaign(context, request, value.as_bytes()).await,
        None => observe(context, request).await,
    }
}

async fn observe(context: &Context, request: &ElectArgs) -> Result<u8, Failure> {
    let mut signals = Signals::catch().map_err(system("catch signals"))?;
    let name = context.text_name(&request.name)?;
    let election = context.connect().await?.election(name);
    let mut observer = election.observe().await?;
    loop {
        match unless_signalled(&mut signals, observer.next()).await {
            Ok(leader) => tell(context.out, &election, &leader?)?,
            // How an observer is told that it has seen enough.
            Err(_) => return Ok(SUCCESS),
        }
    }
}

async fn campaign(context: &Context, request: &ElectArgs, value: &[u8]) -> Result<u8, Failure> {
    let mut signals = Signals::catch().map_err(system("catch signals"))?;
    let name = context.text_name(&request.name)?;
    let opening = open(context, request.hold.ttl);
    let session = match unless_signalled(&mut signals, opening).await {
        Ok(session) => session?,
        Err(signal) => return Ok(exit::code_of_signal(signal)),
    };
    let election = session.client().election(&name);
    let campaign = Campaign {
        context,
        request,
        election,
        name,
    };
    let outcome = campaign.lead(&session, value, &mut signals).await;
    hold::close(session, &outcome).await;
    outcome
}

async fn open(context: &Context, ttl: Duration) -> Result<Session, Failure> {
    let client = context.connect().await?;
    Ok(client.open_session(SessionOptions::new(ttl)).await?)
}

struct Campaign<'a> {
    context: &'a Context,
    request: &'a ElectArgs,
    election: Election,
    name: String,
}

impl Campaign<'_> {
    async fn lead(
        self,
        session: &Session,
        value: &[u8],
        signals: &mut Signals,
    ) -> Result<u8, Failure> {
        let campaigning = self.election.campaign(session, value);
        let leadership = match unless_signalled(signals, campaigning).await {
            Ok(elected) => elected?,
            Err(signal) => return Ok(exit::code_of_signal(signal)),
        };
        let held = Lead {
            name: self.name,
            leadership,
        };
        if self.request.command.is_empty() {
            held.tell(self.context.out, value)?;
        }
        hold::run_under(held, &self.request.command, &self.request.hold, signals).await
    }
}

/// Key and value in a line each, as etcdctl has them.
fn tell(out: Output, election: &Election, leader: &Leader) -> Result<(), Failure> {
    if out.is_json() {
        let name = election.name().as_bytes();
        return out.json(&out.leader(name, leader.key.as_bytes(), &leader.value, leader.token.0));
    }
    out.line(out.bytes(leader.key.as_bytes()))?;
    out.line(out.bytes(&leader.value))
}

/// A leadership, by its election's name.
struct Lead {
    name: String,
    leadership: Leadership,
}

impl Lead {
    fn tell(&self, out: Output, value: &[u8]) -> Result<(), Failure> {
        let key = self.leadership.key().as_bytes();
        if out.is_json() {
            let token = self.leadership.fencing_token().0;
            return out.json(&out.leader(self.name.as_bytes(), key, value, token));
        }
        out.line(out.bytes(key))?;
        out.line(out.bytes(value))
    }
}

impl Held for Lead {
    fn what(&self) -> String {
        format!("the leadership of {:?}", self.name)
    }

    fn variables(&self) -> Vec<(&'static str, String)> {
        let token = self.leadership.fencing_token();
        vec![
            ("LATCHD_ELECTION_NAME", self.name.clone()),
            ("LATCHD_ELECTION_KEY", self.leadership.key().to_owned()),
            ("LATCHD_FENCING_TOKEN", token.to_string()),
        ]
    }

    async fn lost_with_notice(&self, notice: Duration) -> Loss {
        self.leadership.lost_with_notice(notice).await
    }

    async fn was_let_go(&self, _: Loss) -> bool {
        false
    }

    async fn release(self) -> Result<(), Error> {
        self.leadership.resign().await
    }
}
