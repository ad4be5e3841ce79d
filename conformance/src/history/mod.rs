//! Concurrent histories and their checkers.
