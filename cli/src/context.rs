//! What every command needs: where the servers are, and how to answer.

use std::io::{IsTerminal, stdin};
use std::path::Path;

use latchd_client::{Client, Options, Tls};

use crate::args::{Args, Settings, TlsFiles, User};
use crate::bytes;
use crate::exit::Failure;
use crate::output::Output;
use crate::source::Source;
use crate::variables::Variables;

/// The connection's settings, and the way to write answers.
pub struct Context {
    settings: Settings,
    pub out: Output,
}

impl Context {
    /// What the command line and the variables say. Asks the terminal for a password if there has
    /// to be one.
    pub fn new(args: &Args) -> Result<Context, Failure> {
        let variables = Variables::of_process();
        let mut settings = args
            .connection
            .settings(&variables)
            .map_err(Failure::Usage)?;
        let output = args.output.settings(&variables).map_err(Failure::Usage)?;
        if let Some(user) = &mut settings.user {
            ask_password(user)?;
        }
        Ok(Context {
            settings,
            out: Output::new(output),
        })
    }

    pub fn endpoints(&self) -> &[String] {
        &self.settings.endpoints
    }

    pub async fn connect(&self) -> Result<Client, Failure> {
        let client = Client::connect(&self.settings.endpoints, self.options()?);
        Ok(client.await?)
    }

    /// A connection for those who only look.
    pub async fn source(&self) -> Result<Source, Failure> {
        Ok(Source::new(self.connect().await?))
    }

    /// A name from the command line.
    pub fn name(&self, text: &std::ffi::OsStr) -> Result<Vec<u8>, Failure> {
        bytes::read(text, self.out.is_hex()).map_err(Failure::Usage)
    }

    /// One that has to be text.
    pub fn text_name(&self, text: &std::ffi::OsStr) -> Result<String, Failure> {
        bytes::read_text(text, self.out.is_hex()).map_err(Failure::Usage)
    }

    fn options(&self) -> Result<Options, Failure> {
        let mut options = Options::default()
            .with_connect_timeout(self.settings.dial_timeout)
            .with_request_timeout(self.settings.command_timeout);
        if let Some(user) = &self.settings.user {
            let password = user.password.as_deref().unwrap_or_default();
            options = options.with_user(&user.name, password);
        }
        if let Some(files) = &self.settings.tls {
            options = options.with_tls(tls(files)?);
        }
        Ok(options)
    }
}

fn ask_password(user: &mut User) -> Result<(), Failure> {
    if user.password.is_some() {
        return Ok(());
    }
    if !stdin().is_terminal() {
        return Err(Failure::Usage(format!(
            "there is no terminal to ask for the password of {0:?}; give --user {0}:PASSWORD, or set \
             LATCHD_PASSWORD",
            user.name
        )));
    }
    let asked = rpassword::prompt_password(format!("Password of {}: ", user.name));
    user.password = Some(asked.map_err(crate::exit::system("read the password"))?);
    Ok(())
}

fn tls(files: &TlsFiles) -> Result<Tls, Failure> {
    let mut tls = Tls::new();
    if let Some(ca) = &files.cacert {
        tls = tls.with_ca_pem(read(ca)?);
    }
    if let Some((cert, key)) = &files.identity {
        tls = tls.with_identity_pem(read(cert)?, read(key)?);
    }
    if let Some(name) = &files.server_name {
        tls = tls.with_server_name(name);
    }
    if files.skip_verify {
        tls = tls.with_verification_skipped();
    }
    Ok(tls)
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).map_err(|error| Failure::File {
        what: "read",
        path: path.display().to_string(),
        error,
    })
}
