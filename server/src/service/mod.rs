//! What each RPC means, apart from how it is carried. All of it stands on a
//! [`Backend`](crate::backend::Backend).

pub mod contenders;
pub mod election;
pub mod guest;
mod key_set;
pub mod kv;
pub mod lock;
pub mod locks;
pub mod member;
pub mod range_stream;
pub mod requests;
pub mod turn;
pub mod validate;
pub mod watch;
