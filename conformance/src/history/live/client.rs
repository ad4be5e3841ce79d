//! A client whose every request is recorded.

use std::time::Duration;

use anyhow::Result;
use tokio::{sync::watch, time::timeout};
use tonic::Status;

use super::{
    api::{Api, leaves_unknown},
    recorder::{Piece, Recorder},
};
use crate::history::{
    record::{Op, Outcome},
    request::{Request, Response, Revision},
};

/// A request without an answer for so long will not get one.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the clients of a run share.
#[derive(Clone)]
pub struct Surroundings {
    /// The server.
    pub url: String,
    /// Where they record.
    pub recorder: Recorder,
    /// Whether the server is meant to be up.
    pub up: watch::Receiver<bool>,
    /// Whether they are to come to an end.
    pub over: watch::Receiver<bool>,
}

/// A client with a connection of its own; its requests follow one another.
pub struct Client {
    /// Its number.
    pub number: u32,
    /// What it shares with the others.
    pub around: Surroundings,
    api: Api,
}

impl Surroundings {
    /// Waits until the server is meant to be up.
    pub async fn until_up(&mut self) {
        // The sender goes away only with the run.
        let _ = self.up.wait_for(|up| *up).await;
    }

    /// Whether the run comes to its end.
    #[must_use]
    pub fn is_over(&self) -> bool {
        *self.over.borrow()
    }
}

impl Client {
    /// Client `number`; it connects with its first request.
    ///
    /// # Errors
    /// When the URL is none.
    pub fn new(number: u32, around: Surroundings) -> Result<Self> {
        let api = Api::new(&around.url)?;
        Ok(Self {
            number,
            around,
            api,
        })
    }

    /// Sends a request and records it with what becomes of it. After an unknown
    /// outcome it waits until the server is up, and connects anew.
    pub async fn ask(&mut self, request: Request) -> Outcome {
        let recorder = self.around.recorder.clone();
        let invoked = recorder.now();
        let answer = match timeout(PATIENCE, self.api.call(&request)).await {
            Ok(answer) => answer,
            Err(_elapsed) => Err(Status::deadline_exceeded("no answer in a minute")),
        };
        let outcome = outcome(&recorder, answer);
        recorder.note(Piece::Op(Op {
            client: self.number,
            invoked,
            request,
            outcome: outcome.clone(),
        }));
        if matches!(outcome, Outcome::Unknown { .. }) {
            self.around.until_up().await;
            if let Ok(api) = Api::new(&self.around.url) {
                self.api = api;
            }
        }
        outcome
    }

    /// As [`Self::ask`], for the header's revision and the answer, if there is
    /// one.
    pub async fn answer(&mut self, request: Request) -> Option<(Revision, Response)> {
        match self.ask(request).await {
            Outcome::Answered {
                revision, response, ..
            } => Some((revision, response)),
            _ => None,
        }
    }

    /// Its connection, to watch on.
    #[must_use]
    pub fn api(&self) -> Api {
        self.api.clone()
    }
}

/// What became of a request, now that it has come back.
pub fn outcome(recorder: &Recorder, answer: Result<(Revision, Response), Status>) -> Outcome {
    let at = recorder.now();
    match answer {
        Ok((revision, response)) => Outcome::Answered {
            at,
            revision,
            response,
        },
        Err(status) if leaves_unknown(&status) => Outcome::Unknown {
            error: format!("{:?}: {}", status.code(), status.message()),
        },
        Err(status) => Outcome::Refused {
            at,
            code: format!("{:?}", status.code()),
            message: status.message().to_owned(),
        },
    }
}
