//! The same things in Redis, as people do them there.
//!
//! A lock is a key that is set only if it is absent (`SET NX PX`) and that a script deletes only if
//! it still has the holder's token. There is no fencing token, no queue, and nobody is told.

use anyhow::{Context, Result, ensure};
use redis::{Cmd, FromRedisValue, aio::MultiplexedConnection, cmd};

use super::{LEASE_TTL, VALUE};

/// A connection that clients share, as they share one of HTTP/2.
pub type Connection = MultiplexedConnection;

/// Deletes the key if it has this value.
const COMPARE_AND_DELETE: &str =
    "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) end return 0";

/// A client of Redis.
pub struct RedisClient {
    connection: Connection,
    steps: Steps,
}

/// What it sends, made beforehand.
enum Steps {
    Lock { take: Cmd, release: Cmd },
    Put(Cmd),
    Get(Cmd),
}

impl RedisClient {
    /// Takes and releases the lock `name`.
    pub async fn locker(mut connection: Connection, name: String) -> Result<Self> {
        let mut load = cmd("SCRIPT");
        load.arg("LOAD").arg(COMPARE_AND_DELETE);
        let script: String = ask(&mut connection, &load).await?;
        let token = format!("holder of {name}");
        let mut take = cmd("SET");
        take.arg(&name).arg(&token).arg("NX");
        take.arg("PX").arg(LEASE_TTL * 1000);
        let mut release = cmd("EVALSHA");
        release.arg(script).arg(1).arg(name).arg(token);
        let steps = Steps::Lock { take, release };
        Ok(Self { connection, steps })
    }

    /// Overwrites `key`.
    pub fn putter(connection: Connection, key: String) -> Self {
        let mut put = cmd("SET");
        put.arg(key).arg(VALUE.as_slice());
        let steps = Steps::Put(put);
        Self { connection, steps }
    }

    /// Reads `key`, which is there from now on.
    pub async fn getter(connection: Connection, key: String) -> Result<Self> {
        let mut putter = Self::putter(connection, key.clone());
        putter.operate().await?;
        let mut get = cmd("GET");
        get.arg(key);
        Ok(Self {
            connection: putter.connection,
            steps: Steps::Get(get),
        })
    }

    /// One operation.
    pub async fn operate(&mut self) -> Result<()> {
        match &self.steps {
            Steps::Lock { take, release } => {
                let taken: Option<String> = ask(&mut self.connection, take).await?;
                ensure!(taken.is_some(), "SET NX: the key was there already");
                let deleted: i64 = ask(&mut self.connection, release).await?;
                ensure!(deleted == 1, "EVALSHA: the key was gone");
            }
            Steps::Put(put) => {
                let done: String = ask(&mut self.connection, put).await?;
                ensure!(done == "OK", "SET: {done}");
            }
            Steps::Get(get) => {
                let found: Vec<u8> = ask(&mut self.connection, get).await?;
                ensure!(found == VALUE, "GET: the value is not what was set");
            }
        }
        Ok(())
    }
}

async fn ask<T: FromRedisValue>(connection: &mut Connection, command: &Cmd) -> Result<T> {
    command.query_async(connection).await.context("Redis")
}
