//! The JSON gateway: the other families' requests as JSON, what JSON alone can get
//! wrong, and streams as lines and websockets.
//!
//! In bodies `<text>` stands for the text in base64, `$2` for the revision after two
//! writes.

use crate::suite::{Case, Session};

mod malformed;
mod services;
mod streams;
mod transport;

pub fn cases() -> Vec<Case> {
    let parts = [
        services::cases(),
        malformed::cases(),
        streams::cases(),
        transport::cases(),
    ];
    parts.into_iter().flatten().collect()
}

/// Posts, one after the other: paths and bodies.
type Posts = &'static [(&'static str, &'static str)];

/// A case that posts, and compares all that is answered.
fn posts(name: &str, posts: Posts) -> Case {
    Case::new(name, async move |s: &mut Session| {
        for (path, body) in posts {
            s.post(path, body).await?;
        }
        Ok(())
    })
}
