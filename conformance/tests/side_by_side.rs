//! etcdctl prints the same on latchd and on a real etcd: each script of
//! `tests/scripts/` on a fresh pair of them.
#![allow(missing_docs)]

use std::{fs, path::Path};

use anyhow::{Context, Result};
use latchd_conformance::side_by_side::compare;

async fn script(name: &str) -> Result<()> {
    script_with(name, &[]).await
}

async fn script_with(name: &str, flags: &[&str]) -> Result<()> {
    let path = Path::new("tests/scripts").join(format!("{name}.txt"));
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    compare(name, &text, flags).await
}

#[tokio::test]
async fn put_get_and_del() -> Result<()> {
    script("put_get").await
}

#[tokio::test]
async fn txn() -> Result<()> {
    script("txn").await
}

#[tokio::test]
async fn watch() -> Result<()> {
    script("watch").await
}

#[tokio::test]
async fn lease() -> Result<()> {
    script("lease").await
}

#[tokio::test]
async fn cluster_and_maintenance() -> Result<()> {
    script("maintenance").await
}

#[tokio::test]
async fn users_and_roles_without_authentication() -> Result<()> {
    script("auth_off").await
}

#[tokio::test]
async fn locks_and_elections() -> Result<()> {
    script("lock_elect").await
}

#[tokio::test]
async fn a_full_backend() -> Result<()> {
    script_with("quota", &["--quota-backend-bytes=1"]).await
}

#[tokio::test]
async fn requests_over_the_limits() -> Result<()> {
    script_with("limits", &["--max-txn-ops=2", "--max-request-bytes=100"]).await
}

#[tokio::test]
async fn changes_of_the_membership() -> Result<()> {
    script("members").await
}

#[tokio::test]
async fn corner_cases() -> Result<()> {
    script("corners").await
}
