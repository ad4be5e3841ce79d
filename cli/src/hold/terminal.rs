//! Who may read from the terminal. The command has a process group of its own, so it has to be
//! made the terminal's foreground, or its first read would stop it.

use std::io::{IsTerminal, stdin};

use nix::sys::signal::{SigSet, Signal};
use nix::unistd::{getpgrp, tcgetpgrp, tcsetpgrp};

/// Whether this process is in the terminal's foreground, and so has it to lend.
pub fn is_ours() -> bool {
    stdin().is_terminal() && tcgetpgrp(stdin()) == Ok(getpgrp())
}

/// Makes this process's group the terminal's foreground, from wherever it is. A terminal that is
/// gone is nobody's.
pub fn take() {
    let _ = ignore_stops().and_then(|()| tcsetpgrp(stdin(), getpgrp()));
}

/// From here on, this thread may use the terminal from the background without being stopped for
/// it: a latchctl that is stopped ends nothing in time.
pub fn ignore_stops() -> nix::Result<()> {
    SigSet::from(Signal::SIGTTOU).thread_block()
}
