//! Where the servers are, and how to talk to them: etcdctl's flags and variables.

use std::path::PathBuf;
use std::time::Duration;

use crate::duration;
use crate::variables::Variables;

/// Without a scheme, so that options for TLS are all that TLS needs.
const ENDPOINTS: &str = "127.0.0.1:2379";
const DIAL_TIMEOUT: Duration = Duration::from_secs(2);
const COMMAND_TIMEOUT: Duration = Duration::from_secs(5);

/// As said on the command line. What was not said may be in a variable, or has a default:
/// [`Connection::settings`].
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Connection")]
pub struct Connection {
    /// The servers of one cluster, with commas between them [default: 127.0.0.1:2379]
    #[arg(long, global = true, value_name = "URLS", value_delimiter = ',')]
    endpoints: Vec<String>,

    /// Who asks, for a server with authentication; the password is asked for if it is not given
    #[arg(long, global = true, value_name = "NAME[:PASSWORD]")]
    user: Option<String>,

    /// The user's password; then --user is the name alone
    #[arg(long, global = true, value_name = "PASSWORD", hide_short_help = true)]
    password: Option<String>,

    /// Trust the servers whose certificates these authorities signed (PEM), not those of the system
    #[arg(long, global = true, value_name = "FILE", hide_short_help = true)]
    cacert: Option<PathBuf>,

    /// Identify with this certificate (PEM), and its --key
    #[arg(long, global = true, value_name = "FILE", hide_short_help = true)]
    cert: Option<PathBuf>,

    /// The private key of --cert (PEM)
    #[arg(long, global = true, value_name = "FILE", hide_short_help = true)]
    key: Option<PathBuf>,

    /// The name that the server's certificate has, if it is not the host of the URL
    #[arg(long, global = true, value_name = "NAME", hide_short_help = true)]
    server_name: Option<String>,

    /// Trust any certificate of a server. Whoever is between can then read and change everything
    #[arg(
        long, global = true, hide_short_help = true, value_name = "BOOL",
        num_args = 0..=1, require_equals = true, default_missing_value = "true", hide_possible_values = true
    )]
    insecure_skip_tls_verify: Option<bool>,

    /// Whether endpoints without http:// or https:// may do without TLS. It is used for them if
    /// this is false, or with any of the options for TLS [default: true]
    #[arg(
        long, global = true, hide_short_help = true, value_name = "BOOL",
        num_args = 0..=1, require_equals = true, default_missing_value = "true", hide_possible_values = true
    )]
    insecure_transport: Option<bool>,

    /// How long to try to reach one server [default: 2s]
    #[arg(long, global = true, value_name = "TIME", value_parser = duration::parse, hide_short_help = true)]
    dial_timeout: Option<Duration>,

    /// How long one request may take; waiting for a lock is none [default: 5s]
    #[arg(long, global = true, value_name = "TIME", value_parser = duration::parse, hide_short_help = true)]
    command_timeout: Option<Duration>,
}

/// What holds in the end.
#[derive(Debug, PartialEq, Eq)]
pub struct Settings {
    pub endpoints: Vec<String>,
    pub user: Option<User>,
    pub tls: Option<TlsFiles>,
    pub dial_timeout: Duration,
    pub command_timeout: Duration,
}

/// Without a password, it has to be asked for.
#[derive(PartialEq, Eq)]
pub struct User {
    pub name: String,
    pub password: Option<String>,
}

/// Where certificates and keys are.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct TlsFiles {
    pub cacert: Option<PathBuf>,
    /// Certificate and key.
    pub identity: Option<(PathBuf, PathBuf)>,
    pub server_name: Option<String>,
    pub skip_verify: bool,
}

/// Without the password.
impl std::fmt::Debug for User {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("User").field(&self.name).finish()
    }
}

impl Connection {
    /// What was said, else what the variables say, else the defaults.
    ///
    /// # Errors
    /// What is wrong, and what to do.
    pub fn settings(&self, variables: &Variables<'_>) -> Result<Settings, String> {
        let time = |given: Option<Duration>, flag, default| match given {
            Some(given) => Ok::<_, String>(given),
            None => Ok(variables.read(flag, duration::parse)?.unwrap_or(default)),
        };
        Ok(Settings {
            endpoints: self.endpoints(variables)?,
            user: self.user(variables)?,
            tls: self.tls(variables)?,
            dial_timeout: time(self.dial_timeout, "dial-timeout", DIAL_TIMEOUT)?,
            command_timeout: time(self.command_timeout, "command-timeout", COMMAND_TIMEOUT)?,
        })
    }

    fn endpoints(&self, variables: &Variables<'_>) -> Result<Vec<String>, String> {
        let said = match &self.endpoints[..] {
            [] => split(&variables.text("endpoints").unwrap_or(ENDPOINTS.to_owned())),
            said => said.iter().map(|url| url.trim().to_owned()).collect(),
        };
        if said.iter().any(String::is_empty) {
            return Err("an endpoint is empty; write --endpoints http://HOST:PORT,…".into());
        }
        Ok(said)
    }

    fn user(&self, variables: &Variables<'_>) -> Result<Option<User>, String> {
        let password = self.password.clone().or_else(|| variables.text("password"));
        let Some(said) = self.user.clone().or_else(|| variables.text("user")) else {
            return match &self.password {
                Some(_) => Err("--password needs --user NAME".into()),
                None => Ok(None),
            };
        };
        let (name, password) = match (said.split_once(':'), password) {
            // A password apart means that all of the other is the name, as in etcdctl.
            (_, Some(password)) => (said.clone(), Some(password)),
            (Some((name, password)), None) => (name.to_owned(), Some(password.to_owned())),
            (None, None) => (said.clone(), None),
        };
        if name.is_empty() {
            return Err("the user's name is empty; write --user NAME:PASSWORD".into());
        }
        Ok(Some(User { name, password }))
    }

    /// Some if TLS is to be used where the endpoint does not say.
    fn tls(&self, variables: &Variables<'_>) -> Result<Option<TlsFiles>, String> {
        let file = |given: &Option<PathBuf>, flag| {
            given
                .clone()
                .or_else(|| variables.text(flag).map(PathBuf::from))
        };
        let flag = |given: Option<bool>, flag, default| match given {
            Some(given) => Ok::<_, String>(given),
            None => Ok(variables.read(flag, truth)?.unwrap_or(default)),
        };
        let said = self.server_name.clone();
        let files = TlsFiles {
            cacert: file(&self.cacert, "cacert"),
            identity: match (file(&self.cert, "cert"), file(&self.key, "key")) {
                (Some(cert), Some(key)) => Some((cert, key)),
                (None, None) => None,
                (Some(_), None) => return Err("--cert needs its private key: give --key".into()),
                (None, Some(_)) => return Err("--key needs its certificate: give --cert".into()),
            },
            server_name: said.or_else(|| variables.text("server-name")),
            skip_verify: flag(
                self.insecure_skip_tls_verify,
                "insecure-skip-tls-verify",
                false,
            )?,
        };
        let plain = flag(self.insecure_transport, "insecure-transport", true)?;
        Ok((!plain || files != TlsFiles::default()).then_some(files))
    }
}

fn split(urls: &str) -> Vec<String> {
    urls.split(',').map(|url| url.trim().to_owned()).collect()
}

/// A truth value as Go's programs take it.
pub fn truth(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(format!("`{text}` is neither true nor false")),
    }
}
