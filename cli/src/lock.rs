//! `latchctl lock`: from asking for the lock to releasing it.

use std::time::Duration;

use latchd_client::{Client, Error, Guard, Loss, Mode, MultiLock, Session, SessionOptions};
use nix::unistd::{User, gethostname, getuid};
use tokio::time::sleep;

use crate::args::{Kind, LockArgs, Wait};
use crate::context::Context;
use crate::exit::{self, Failure, system};
use crate::hold::{self, Held, Signals, unless_signalled};
use crate::model::What;
use crate::output::Output;
use crate::source::Source;
use crate::variables::Variables;
use crate::waiting::Waiting;

/// What the service takes at most, in bytes.
const LONGEST_OWNER: usize = 256;
/// How many of the last holds of a lock to look through, how often, and how long between.
const NOTES: u32 = 100;
const NOTES_LOOKS: u32 = 10;
const NOTES_PAUSE: Duration = Duration::from_millis(50);

/// Runs the command under the lock; the exit code to end with.
pub async fn run(context: &Context, request: &LockArgs) -> Result<u8, Failure> {
    // Before there is anything to clean up.
    let mut signals = Signals::catch().map_err(system("catch signals"))?;
    let names = request.names.iter().map(|name| context.text_name(name));
    let names = names.collect::<Result<Vec<String>, Failure>>()?;
    let owner = owner(request);
    let opening = open(context, request, &owner);
    let session = match unless_signalled(&mut signals, opening).await {
        Ok(session) => session?,
        Err(signal) => return Ok(exit::code_of_signal(signal)),
    };
    let lock = session.multi_lock(names).with_mode(mode(request.kind()));
    let outcome = lock_and_run(context, request, lock, &session, owner, &mut signals).await;
    hold::close(session, &outcome).await;
    outcome
}

async fn lock_and_run(
    context: &Context,
    request: &LockArgs,
    lock: MultiLock,
    session: &Session,
    owner: String,
    signals: &mut Signals,
) -> Result<u8, Failure> {
    let source = Source::new(session.client().clone());
    let waiting = Waiting::new(&source, lock.names(), &owner, request.quiet);
    let asking = waiting.shown_while(acquire(&lock, request.wait()));
    let guard = match unless_signalled(signals, asking).await {
        Ok(guard) => guard?,
        Err(signal) => return Ok(exit::code_of_signal(signal)),
    };
    let held = HeldLock {
        guard,
        owner,
        source,
    };
    if request.command.is_empty() {
        held.tell(context.out)?;
    }
    hold::run_under(held, &request.command, &request.hold, signals).await
}

async fn open(context: &Context, request: &LockArgs, owner: &str) -> Result<Session, Failure> {
    let mut options = SessionOptions::new(request.hold.ttl).with_owner(owner);
    for (key, value) in &request.labels {
        options = options.with_label(key, value);
    }
    let client: Client = context.connect().await?;
    Ok(client.open_session(options).await?)
}

async fn acquire(lock: &MultiLock, wait: Wait) -> Result<Guard, Error> {
    match wait {
        Wait::Not => lock.try_lock().await,
        Wait::For(limit) => lock.lock_timeout(limit).await,
        Wait::Ever => lock.lock().await,
    }
}

fn mode(kind: Kind) -> Mode {
    match kind {
        Kind::Exclusive => Mode::Exclusive,
        Kind::Shared => Mode::Shared,
        Kind::Semaphore(of) => Mode::Permit { of },
    }
}

/// Who holds it. A latchctl that runs under another one has the other's name, so that a deadlock
/// between the two's locks and somebody else's is seen as one.
fn owner(request: &LockArgs) -> String {
    let variables = Variables::of_process();
    let said = request.owner.clone().or_else(|| variables.text("owner"));
    said.unwrap_or_else(|| {
        let uid = getuid();
        let user = User::from_uid(uid).ok().flatten();
        let user = user.map_or_else(|| format!("uid {uid}"), |user| user.name);
        let host = gethostname().unwrap_or_default();
        let mut owner = format!("{user}@{}:{}", host.display(), std::process::id());
        owner.truncate(owner.floor_char_boundary(LONGEST_OWNER));
        owner
    })
}

/// The lock, and who to ask about its end.
struct HeldLock {
    guard: Guard,
    owner: String,
    source: Source,
}

impl HeldLock {
    /// For people and programs that hold it without a command.
    fn tell(&self, out: Output) -> Result<(), Failure> {
        let token = self.guard.fencing_token().0;
        for (name, key) in self.guard.names().iter().zip(self.guard.keys()) {
            if out.is_json() {
                out.json(&out.own_hold(name.as_bytes(), token, key.as_bytes()))?;
            } else {
                let (name, key) = (out.bytes(name.as_bytes()), out.bytes(key.as_bytes()));
                out.line(format!(
                    "{name}: held with the token {token}, by the key {key}"
                ))?;
            }
        }
        Ok(())
    }

    fn past(&self) -> Past {
        Past {
            source: self.source.clone(),
            name: self.guard.name().as_bytes().to_vec(),
            token: self.guard.fencing_token().0,
        }
    }
}

/// A hold that has ended, in the server's notes.
struct Past {
    source: Source,
    name: Vec<u8>,
    token: i64,
}

impl Past {
    /// Whether it was ended by its own holder, as `latchctl release` in the command does it. The
    /// notes may come a moment after the end itself.
    async fn was_released(&self) -> bool {
        for _ in 0..NOTES_LOOKS {
            match self.end().await {
                Some(how) => return how == What::Released,
                None => sleep(NOTES_PAUSE).await,
            }
        }
        false
    }

    async fn end(&self) -> Option<What> {
        // An etcd has no notes.
        let history = self.source.history(&self.name, NOTES).await.ok()?;
        let mut holds = history.holds.into_iter();
        let own = holds.find(|hold| hold.name == self.name && hold.contender.token == self.token);
        own.map(|hold| hold.how)
    }
}

impl Held for HeldLock {
    fn what(&self) -> String {
        match self.guard.names() {
            [one] => format!("the lock {one:?}"),
            names => format!("the locks {names:?}"),
        }
    }

    /// etcdctl's two are for scripts that were written for it.
    fn variables(&self) -> Vec<(&'static str, String)> {
        let guard = &self.guard;
        vec![
            ("LATCHD_LOCK_NAME", guard.names().join("\n")),
            ("LATCHD_LOCK_KEY", guard.keys().join("\n")),
            ("LATCHD_FENCING_TOKEN", guard.fencing_token().to_string()),
            ("LATCHD_OWNER", self.owner.clone()),
            ("ETCD_LOCK_KEY", guard.key().to_owned()),
            ("ETCD_LOCK_REV", guard.granted_at().to_string()),
        ]
    }

    async fn lost_with_notice(&self, notice: Duration) -> Loss {
        self.guard.lost_with_notice(notice).await
    }

    async fn was_let_go(&self, loss: Loss) -> bool {
        loss == Loss::KeyDeleted && self.source.is_latchd() && self.past().was_released().await
    }

    async fn release(self) -> Result<(), Error> {
        let past = self.past();
        match self.guard.unlock().await {
            Err(Error::NotHeld { .. }) if past.source.is_latchd() && past.was_released().await => {
                Ok(())
            }
            released => released,
        }
    }
}
