//! Who this client is towards `latchd.v1`: the same token that `etcd_client` sends with etcd's calls.

use std::sync::Arc;

use latchd_proto::etcdserverpb::AuthenticateRequest;
use latchd_proto::etcdserverpb::auth_client::AuthClient;
use parking_lot::RwLock;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::{Code, Status};

use crate::error::{Error, Result};
use crate::transport::Transport;

/// What etcd calls a request for a token while there is no authentication.
const NOT_ENABLED: &str = "authentication is not enabled";

/// Sends the user's token, if there is one.
#[derive(Clone)]
pub struct UserToken {
    auth: AuthClient<Transport>,
    user: Option<(String, String)>,
    token: Arc<RwLock<Option<MetadataValue<Ascii>>>>,
}

impl UserToken {
    pub(crate) fn new(transport: Transport, user: Option<(String, String)>) -> UserToken {
        UserToken {
            auth: AuthClient::new(transport),
            user,
            token: Arc::default(),
        }
    }

    /// Gets a token anew. False if there is no user, or the server wants none.
    pub(crate) async fn obtain(&self) -> Result<bool> {
        let Some((name, password)) = self.user.clone() else {
            return Ok(false);
        };
        let request = AuthenticateRequest { name, password };
        match self.auth.clone().authenticate(request).await {
            Ok(answer) => {
                let token = answer.into_inner().token.parse();
                let token = token.map_err(|_| Error::Malformed { missing: "token" })?;
                *self.token.write() = Some(token);
                Ok(true)
            }
            Err(status) if is_not_enabled(&status) => Ok(false),
            Err(status) => Err(status.into()),
        }
    }
}

fn is_not_enabled(status: &Status) -> bool {
    status.code() == Code::FailedPrecondition && status.message().contains(NOT_ENABLED)
}

impl Interceptor for UserToken {
    fn call(
        &mut self,
        mut request: tonic::Request<()>,
    ) -> std::result::Result<tonic::Request<()>, Status> {
        if let Some(token) = self.token.read().as_ref() {
            request.metadata_mut().insert("token", token.clone());
        }
        Ok(request)
    }
}
