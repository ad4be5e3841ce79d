//! Tests of the checkers: on histories of a correct server nothing is found, and
//! every planted fault is.
#![allow(clippy::unwrap_used)]

mod faults;
mod second_opinion;
mod sim;
mod valid;
