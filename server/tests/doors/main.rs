//! The doors of older lock servers, each in its own words.
#![allow(missing_docs)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails here")]

#[path = "../common/mod.rs"]
mod common;

mod distlock;
mod dreadlock;
mod elock;
mod lines;
mod rude;
mod support;
mod tls;
mod together;
