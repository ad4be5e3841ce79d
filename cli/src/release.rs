//! The commands about one hold: `verify` and `release`.

use crate::args::{ReleaseArgs, VerifyArgs, token};
use crate::context::Context;
use crate::exit::{Failure, NO, SUCCESS};
use crate::output::json::State;
use crate::variables::Variables;

pub async fn verify(context: &Context, request: &VerifyArgs) -> Result<u8, Failure> {
    let name = context.name(&request.name)?;
    let token = own_or(request.token, "the TOKEN that `latchctl show` tells")?;
    let held = context.source().await?.verify(&name, token).await?;
    let out = context.out;
    if out.is_json() {
        out.json(&out.hold(&name, token, State::Held(held)))?;
    } else {
        let state = if held { "held" } else { "not held" };
        out.line(format!(
            "{}: {state} with the token {token}",
            out.bytes(&name)
        ))?;
    }
    Ok(if held { SUCCESS } else { NO })
}

pub async fn release(context: &Context, request: &ReleaseArgs) -> Result<u8, Failure> {
    let name = context.name(&request.name)?;
    let token = own_or(request.token, "--token, as `latchctl show` tells it")?;
    let source = context.source().await?;
    let contender = if request.force {
        source.force_release(&name, token).await?
    } else {
        source.release(&name, token).await?
    };
    let out = context.out;
    if out.is_json() {
        let state = match request.force {
            true => State::Forced(Box::new(out.contender(&contender))),
            false => State::Released(true),
        };
        return out.json(&out.hold(&name, token, state)).map(|()| SUCCESS);
    }
    let name = out.bytes(&name);
    out.line(match request.force {
        true => format!("{name}: taken away from {}, token {token}", contender.who()),
        false => format!("{name}: released, token {token}"),
    })?;
    Ok(SUCCESS)
}

/// The token of the `latchctl lock` that this runs under, if none is given.
fn own_or(given: Option<i64>, how: &str) -> Result<i64, Failure> {
    let own = || Variables::of_process().read("fencing-token", token);
    match given {
        Some(given) => Ok(given),
        None => own().map_err(Failure::Usage)?.ok_or_else(|| {
            Failure::Usage(format!(
                "which hold? Give {how}; in a command of `latchctl lock` it is $LATCHD_FENCING_TOKEN"
            ))
        }),
    }
}
