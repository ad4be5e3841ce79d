//! What a failure is told with: its innermost cause, and what to do about it.

use std::error::Error as StdError;

use latchd_client::Error;

use crate::exit::{Failure, UNREACHABLE};

/// What to do, if there is anything to be said beyond the failure's own text.
pub fn advice(failure: &Failure, endpoints: &[String]) -> Option<String> {
    match failure {
        Failure::Client(Error::NeedsLatchd { .. }) => {
            Some("Give the address of a latchd with --endpoints.".to_owned())
        }
        Failure::Client(Error::Deadlock { .. }) => Some(
            "Take locks in the same order everywhere, or all at once: latchctl lock A B -- CMD."
                .to_owned(),
        ),
        Failure::Client(Error::Refused(source)) => about_refusal(&cause(source)),
        failure if failure.exit_code() == UNREACHABLE => Some(about_reach(failure, endpoints)),
        _ => None,
    }
}

/// A broken handshake and an absent server look alike to the transport; the words differ.
fn about_reach(failure: &Failure, endpoints: &[String]) -> String {
    let told = failure.to_string().to_lowercase();
    let places = endpoints.join(" or ");
    if ["certificate", "tls", "handshake", "corrupt message"]
        .iter()
        .any(|word| told.contains(word))
    {
        return format!(
            "Does {places} speak TLS, with a certificate that this machine trusts? See --cacert, \
             --cert and --key, and whether the URL begins with http:// or https://."
        );
    }
    format!(
        "Is a server running at {places}? Its address is given with --endpoints, or in \
         LATCHD_ENDPOINTS."
    )
}

fn about_refusal(told: &str) -> Option<String> {
    let told = told.to_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| told.contains(word));
    if has(&[
        "user name is empty",
        "invalid auth token",
        "revision of auth",
    ]) {
        Some("The server wants to know who asks: give --user NAME, or set LATCHD_USER.".to_owned())
    } else if has(&["permission denied"]) {
        Some("Ask for a role with this permission, or use another --user.".to_owned())
    } else if has(&["invalid user id or password"]) {
        Some("Check --user and the password.".to_owned())
    } else {
        None
    }
}

/// What the server said, or why there is none that says anything.
pub fn cause(error: &etcd_client::Error) -> String {
    match error {
        etcd_client::Error::GRpcStatus(status) => match status.source() {
            Some(source) => root_cause(source),
            None => status.message().to_owned(),
        },
        other => root_cause(other),
    }
}

/// What the innermost error says: those around it say little, such as "transport error".
fn root_cause(error: &(dyn StdError + 'static)) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    let told = innermost.to_string();
    // The operating system's number helps nobody.
    match told.find(" (os error") {
        Some(end) => told[..end].to_owned(),
        None => told,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_cause_is_told() {
        let refused = std::io::Error::from_raw_os_error(111);
        let outer = std::io::Error::other(refused);
        assert_eq!(root_cause(&outer), "Connection refused");
    }

    #[test]
    fn a_status_is_told_by_its_cause_or_else_by_its_text() {
        let refused = std::io::Error::from_raw_os_error(111);
        let broken = tonic::Status::from_error(Box::new(refused));
        let denied = tonic::Status::permission_denied("etcdserver: permission denied");
        let told = [broken, denied].map(|status| cause(&etcd_client::Error::GRpcStatus(status)));
        assert_eq!(
            told,
            ["Connection refused", "etcdserver: permission denied"]
        );
    }

    #[test]
    fn a_server_that_is_not_there_is_told_apart_from_one_without_tls() {
        let endpoints = ["https://a:1".to_owned()];
        let no_answer = Failure::Client(Error::NoAnswer {
            after: std::time::Duration::from_secs(5),
        });
        let said = advice(&no_answer, &endpoints).expect("advice");
        assert!(
            said.contains("https://a:1") && said.contains("--endpoints"),
            "{said}"
        );
        let told = about_reach(&Failure::No("invalid peer certificate".into()), &endpoints);
        assert!(told.contains("--cacert"), "{told}");
    }
}
