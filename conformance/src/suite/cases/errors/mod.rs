//! Every text that etcd has for an error and that a server of one member can give:
//! a case for each, in all the ways that lead to it. Texts of the watch stream and
//! of members are in their own families; those of users wait for them.

use crate::suite::Case;

mod alarms;
mod arguments;
mod sizes;

pub fn cases() -> Vec<Case> {
    let parts = [arguments::cases(), sizes::cases(), alarms::cases()];
    parts.into_iter().flatten().collect()
}
