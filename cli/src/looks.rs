//! The commands that only look: `ls`, `show`, `watch`, `history`, `deadlocks`, `session ls`.

use crate::args::{DeadlocksArgs, HistoryArgs, LsArgs, SessionCommand, ShowArgs, WatchArgs};
use crate::context::Context;
use crate::exit::{Failure, NO, SUCCESS};
use crate::model::{Deadlock, Told};
use crate::output::json::SessionInfo;
use crate::source::Source;

pub async fn ls(context: &Context, request: &LsArgs) -> Result<u8, Failure> {
    let prefix = context.name(&request.prefix)?;
    let source = context.source().await?;
    let locks = source.list(&prefix).await?;
    let out = context.out;
    if out.is_json() {
        out.pretty_json(&out.locks(&locks))?;
    } else if locks.is_empty() {
        eprintln!(
            "nobody holds or awaits a lock{}",
            beginning_with(context, &prefix)
        );
    } else {
        out.line(out.lock_table(&locks))?;
        warn_of_deadlocks(context, &source, &[]).await?;
    }
    Ok(SUCCESS)
}

pub async fn show(context: &Context, request: &ShowArgs) -> Result<u8, Failure> {
    let name = context.name(&request.name)?;
    let source = context.source().await?;
    let Some(lock) = source.show(&name).await? else {
        return Err(Failure::No(format!(
            "nobody holds or awaits {:?}",
            context.out.bytes(&name)
        )));
    };
    let out = context.out;
    if out.is_json() {
        out.pretty_json(&out.lock(&lock))?;
    } else {
        out.line(out.lock_page(&lock))?;
        warn_of_deadlocks(context, &source, &name).await?;
    }
    Ok(SUCCESS)
}

/// For people who look at locks and wonder why nothing goes on.
async fn warn_of_deadlocks(context: &Context, source: &Source, name: &[u8]) -> Result<(), Failure> {
    if !source.is_latchd() {
        return Ok(());
    }
    for deadlock in source.deadlocks().await? {
        if name.is_empty() || deadlock.waits.iter().any(|wait| wait.name == name) {
            context
                .out
                .line(format!("\n{}", context.out.deadlock_page(&deadlock)))?;
        }
    }
    Ok(())
}

pub async fn watch(context: &Context, request: &WatchArgs) -> Result<u8, Failure> {
    let prefix = context.name(&request.prefix)?;
    let mut watch = context.source().await?.watch(&prefix).await?;
    let out = context.out;
    let mut is_first = true;
    loop {
        let told = watch.next().await?;
        let is_beginning = std::mem::take(&mut is_first) && matches!(told, Told::Snapshot(_));
        if is_beginning && request.only_changes {
            continue;
        }
        if out.is_json() {
            out.json(&out.told(&told))?;
        } else {
            for line in out.told_lines(&told) {
                out.line(line)?;
            }
        }
    }
}

pub async fn history(context: &Context, request: &HistoryArgs) -> Result<u8, Failure> {
    let prefix = context.name(&request.prefix)?;
    let source = context.source().await?;
    let history = source.history(&prefix, request.limit).await?;
    let out = context.out;
    if out.is_json() {
        out.pretty_json(&out.history(&history))?;
        return Ok(SUCCESS);
    }
    if !history.holds.is_empty() {
        out.line(out.history_table(&history))?;
    }
    for deadlock in &history.deadlocks {
        out.line(format!("\n{}", out.deadlock_page(deadlock)))?;
    }
    if history.holds.is_empty() && history.deadlocks.is_empty() {
        let since = crate::output::table::local(history.since, "%Y-%m-%d %H:%M:%S");
        let what = beginning_with(context, &prefix);
        eprintln!("nobody has let go of a lock{what} since this server started at {since}");
    }
    Ok(SUCCESS)
}

pub async fn deadlocks(context: &Context, _: &DeadlocksArgs) -> Result<u8, Failure> {
    let deadlocks = context.source().await?.deadlocks().await?;
    let out = context.out;
    if out.is_json() {
        out.pretty_json(&out.deadlocks(&deadlocks))?;
    } else if deadlocks.is_empty() {
        eprintln!("there is no deadlock");
    } else {
        let pages: Vec<String> = deadlocks
            .iter()
            .map(|one: &Deadlock| out.deadlock_page(one))
            .collect();
        out.line(pages.join("\n\n"))?;
    }
    Ok(if deadlocks.is_empty() { SUCCESS } else { NO })
}

pub async fn session(
    context: &Context,
    SessionCommand::Ls: &SessionCommand,
) -> Result<u8, Failure> {
    let sessions = context.source().await?.sessions().await?;
    let out = context.out;
    if out.is_json() {
        out.pretty_json(&sessions.iter().map(SessionInfo::of).collect::<Vec<_>>())?;
    } else if sessions.is_empty() {
        eprintln!("there is no session");
    } else {
        out.line(out.session_table(&sessions))?;
    }
    Ok(SUCCESS)
}

fn beginning_with(context: &Context, prefix: &[u8]) -> String {
    match prefix {
        [] => String::new(),
        prefix => format!(" whose name begins with {:?}", context.out.bytes(prefix)),
    }
}
