//! Works for as long as it holds a lock, and writes down what it does: one line whenever it works, and
//! one at the end. Stop it with SIGSTOP for longer than the TTL, let it go on, and see that it writes
//! `lost` and no other line.
//!
//! ```sh
//! cargo run -p latchd-client --example worker -- --name job --output /tmp/work --ttl-ms 2000
//! ```

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::time::Duration;

use latchd_client::{Client, Error, Options, SessionOptions};

/// What to do, and where.
pub struct Args {
    endpoint: String,
    name: String,
    output: String,
    ttl: Duration,
    is_bound: bool,
}

/// Reads a command line, without the program's name.
pub fn args(mut given: impl Iterator<Item = String>) -> Result<Args, Box<dyn std::error::Error>> {
    let mut args = Args {
        endpoint: "http://127.0.0.1:2379".into(),
        name: "job".into(),
        output: "/dev/stdout".into(),
        ttl: Duration::from_secs(10),
        is_bound: false,
    };
    while let Some(flag) = given.next() {
        let mut value = || given.next().ok_or_else(|| format!("{flag} needs a value"));
        match flag.as_str() {
            "--endpoint" => args.endpoint = value()?,
            "--name" => args.name = value()?,
            "--output" => args.output = value()?,
            "--ttl-ms" => args.ttl = Duration::from_millis(value()?.parse()?),
            "--bound" => args.is_bound = true,
            other => return Err(format!("unknown flag {other}").into()),
        }
    }
    Ok(args)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    run(args(std::env::args().skip(1))?).await
}

/// Waits for the lock, and works until it is lost.
pub async fn run(args: Args) -> Result<(), Box<dyn std::error::Error>> {
    let mut output = OpenOptions::new()
        .create(true)
        .append(true)
        .open(&args.output)?;
    let client = Client::connect([&args.endpoint], Options::default()).await?;
    let mut options = SessionOptions::new(args.ttl).with_owner("worker");
    if args.is_bound {
        options = options.released_on_disconnect();
    }
    let session = client.open_session(options).await?;
    match session.run_exclusive(&args.name, work(&mut output)).await {
        Ok(done) => done?,
        Err(Error::LockLost { .. }) => writeln!(output, "lost")?,
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

/// A piece of work every few milliseconds, for ever.
async fn work(output: &mut File) -> std::io::Result<()> {
    let mut pieces = tokio::time::interval(Duration::from_millis(5));
    loop {
        pieces.tick().await;
        writeln!(output, "work")?;
    }
}
