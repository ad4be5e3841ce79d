//! The differential cases.
