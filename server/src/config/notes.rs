//! What the log should say about the configuration, once there is a log.

use tracing::{info, warn};

/// One line of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the lines say it")]
pub enum Note {
    /// A flag that changes nothing.
    WithoutEffect { flag: String, why: &'static str },
    /// Other members were named, and none is looked for.
    Alone { initial_cluster: String },
    /// A configuration file was read.
    FileLoaded { path: String },
    /// The file has a key that is not etcd's.
    FileKey { path: String, key: String },
    /// A flag's value came from the environment.
    VariableUsed { name: String, value: String },
    /// A flag's value did not come from the environment, as there is something stronger.
    VariableShadowed { name: String, by: String },
    /// A variable with our prefix that is no flag's.
    VariableUnknown { variable: String },
    /// A variable that must not be a flag's.
    VariableSpecial { name: String, value: String },
}

impl Note {
    /// Writes the line; where etcd has the same line, it is in etcd's words.
    pub fn log(&self) {
        match self {
            Note::WithoutEffect { flag, why } => info!(flag, why, "accepted without effect"),
            Note::Alone { initial_cluster } => warn!(
                "initial-cluster" = initial_cluster,
                "this server is alone: it joins none of the other members, \
                 and what it locks is locked here only"
            ),
            Note::FileLoaded { path } => info!(
                path,
                "loaded server configuration, other configuration command line flags \
                 and environment variables will be ignored if provided"
            ),
            Note::FileKey { path, key } => {
                warn!(path, key, "unrecognized key in the configuration file");
            }
            Note::VariableUsed { name, value } => info!(
                "variable-name" = name,
                "variable-value" = value,
                "recognized and used environment variable"
            ),
            Note::VariableShadowed { name, by } => warn!(
                "environment-variable" = name,
                by, "environment variable is shadowed"
            ),
            Note::VariableUnknown { variable } => warn!(
                "environment-variable" = variable,
                "unrecognized environment variable"
            ),
            Note::VariableSpecial { name, value } => {
                warn!(key = name, value, "cannot set special environment variable");
            }
        }
    }
}
