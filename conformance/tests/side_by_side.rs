//! etcdctl prints the same on latchd and on a real etcd: each script of
//! `tests/scripts/` on a fresh pair of them.
#![allow(missing_docs)]

use std::{fs, path::Path};

use anyhow::{Context, Result};
use latchd_conformance::side_by_side::compare;

async fn script(name: &str) -> Result<()> {
    let path = Path::new("tests/scripts").join(format!("{name}.txt"));
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    compare(name, &text).await
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
