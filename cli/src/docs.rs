//! What latchctl says about itself for others to read: completions, and manual pages.

use std::io::{Write, stdout};
use std::path::Path;

use clap::Command;
use clap_mangen::Man;

use crate::args::{Args, CompletionsArgs, ManArgs};
use crate::exit::{Failure, SUCCESS};

pub fn completions(request: &CompletionsArgs) -> Result<u8, Failure> {
    let mut script = Vec::new();
    let mut command = Args::described();
    clap_complete::generate(request.shell, &mut command, "latchctl", &mut script);
    print(&script)
}

pub fn man(request: &ManArgs) -> Result<u8, Failure> {
    match &request.dir {
        None => print(&page(&Args::described())?),
        Some(dir) => {
            write_pages(&Args::described(), "latchctl", dir)?;
            Ok(SUCCESS)
        }
    }
}

/// A page for the command, and one for each of those below it.
fn write_pages(command: &Command, name: &str, dir: &Path) -> Result<(), Failure> {
    let path = dir.join(format!("{name}.1"));
    std::fs::write(&path, page(command)?).map_err(|error| Failure::File {
        what: "write",
        path: path.display().to_string(),
        error,
    })?;
    let shown = command.get_subcommands().filter(|sub| !sub.is_hide_set());
    for sub in shown.filter(|sub| sub.get_name() != "help") {
        let name = format!("{name}-{}", sub.get_name());
        write_pages(&sub.clone().name(name.clone()), &name, dir)?;
    }
    Ok(())
}

fn page(command: &Command) -> Result<Vec<u8>, Failure> {
    let mut page = Vec::new();
    // A manual tells all of it, and has no room for less.
    let command = command
        .clone()
        .mut_args(|option| option.hide_short_help(false));
    let man = Man::new(command).manual("latchd");
    man.render(&mut page).map_err(Failure::Output)?;
    Ok(page)
}

fn print(text: &[u8]) -> Result<u8, Failure> {
    stdout().write_all(text).map_err(Failure::Output)?;
    Ok(SUCCESS)
}

pub fn version() -> Result<u8, Failure> {
    print(format!("latchctl version: {}\n", env!("CARGO_PKG_VERSION")).as_bytes())
}
