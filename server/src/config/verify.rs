//! What etcd refuses when all flags are read, though nothing comes of them here.

use super::urls::{self, Urls, check_bind};
use super::values;

/// The defaults of `--heartbeat-interval` and `--election-timeout`, and the most, in ms.
const HEARTBEAT: u64 = 100;
const ELECTION: u64 = 1_000;
const LONGEST_ELECTION: u64 = 50_000;
/// The versions of TLS that etcd knows.
const TLS: [&str; 2] = ["TLS1.2", "TLS1.3"];
/// The most that `--distributed-tracing-sampling-rate` may be.
const EVERY_REQUEST: i64 = 1_000_000;

/// Checks values that are each right by themselves; `last` knows what was given last for a flag.
pub fn verify<'a>(last: impl Fn(&str) -> Option<&'a str>) -> Result<(), String> {
    logger(last("logger"))?;
    if last("discovery-fallback") == Some("proxy") {
        let text =
            r#"v2 proxy is deprecated, and --discovery-fallback can't be configured as "proxy""#;
        return Err(text.into());
    }
    let peers = Urls::told(last("listen-peer-urls").unwrap_or_default())?;
    check_bind(&peers.0)?;
    let number = |flag| last(flag).and_then(|text| values::unsigned(text).ok());
    times(
        number("heartbeat-interval").unwrap_or(HEARTBEAT),
        number("election-timeout").unwrap_or(ELECTION),
    )?;
    tls(last("tls-min-version"), last("tls-max-version"))?;
    if last("enable-distributed-tracing").map(values::boolean) == Some(Ok(true)) {
        sampling(last("distributed-tracing-sampling-rate"))?;
    }
    cluster(last("initial-cluster").unwrap_or_default())
}

fn logger(name: Option<&str>) -> Result<(), String> {
    match name {
        None | Some("zap") => Ok(()),
        Some("capnslog") => Err("--logger=capnslog is removed in v3.5".into()),
        Some(other) => Err(format!("unknown logger option {other:?}")),
    }
}

/// The times of an election, in ms.
fn times(heartbeat: u64, election: u64) -> Result<(), String> {
    if heartbeat == 0 {
        return Err("--heartbeat-interval must be >0 (set to 0ms)".into());
    }
    if election == 0 {
        return Err("--election-timeout must be >0 (set to 0ms)".into());
    }
    if heartbeat.saturating_mul(5) > election {
        return Err(format!(
            "--election-timeout[{election}ms] should be at least as 5 times as \
             --heartbeat-interval[{heartbeat}ms]"
        ));
    }
    if election > LONGEST_ELECTION {
        return Err(format!(
            "--election-timeout[{election}ms] is too long, and should be set less than \
             {LONGEST_ELECTION}ms"
        ));
    }
    Ok(())
}

fn tls(least: Option<&str>, most: Option<&str>) -> Result<(), String> {
    match (tls_version(least)?, tls_version(most)?) {
        (Some(least), Some(most)) if least > most => Err(format!(
            "min version ({least}) is greater than max version ({most})"
        )),
        _ => Ok(()),
    }
}

fn tls_version(given: Option<&str>) -> Result<Option<&'static str>, String> {
    let Some(text) = given.filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let known = TLS.into_iter().find(|known| *known == text);
    known.map(Some).ok_or_else(|| {
        let all = TLS.join(", ");
        format!("unexpected TLS version {text:?} (must be one of: {all})")
    })
}

fn sampling(rate: Option<&str>) -> Result<(), String> {
    let reason = match rate.and_then(|rate| values::signed(rate).ok()) {
        Some(rate) if rate < 0 => "tracing sampling rate must be positive".to_owned(),
        Some(rate) if rate > EVERY_REQUEST => {
            format!("tracing sampling rate must be less than {EVERY_REQUEST}")
        }
        _ => return Ok(()),
    };
    Err(format!(
        "distributed tracing configurition is not valid: ({reason})"
    ))
}

/// `name=URL`, with commas between them; a name may come more than once.
fn cluster(members: &str) -> Result<(), String> {
    for member in members.split(',').filter(|_| !members.is_empty()) {
        let url = member.split_once('=').map_or("", |(_, url)| url);
        urls::check(url.trim())
            .map_err(|error| format!("error setting up initial cluster: {error}"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(given: &[(&str, &str)]) -> Result<(), String> {
        verify(|flag| {
            let found = given.iter().find(|(name, _)| *name == flag);
            found.map(|(_, value)| *value)
        })
    }

    #[test]
    fn etcds_sentences() {
        for (given, sentence) in [
            (
                &[("logger", "capnslog")][..],
                "--logger=capnslog is removed in v3.5",
            ),
            (&[("logger", "x")], "unknown logger option \"x\""),
            (
                &[("discovery-fallback", "proxy")],
                "v2 proxy is deprecated, and --discovery-fallback can't be configured as \"proxy\"",
            ),
            (
                &[("listen-peer-urls", "http://example.com:1")],
                "expected IP in URL for binding (http://example.com:1)",
            ),
            (
                &[("heartbeat-interval", "0")],
                "--heartbeat-interval must be >0 (set to 0ms)",
            ),
            (
                &[("election-timeout", "10")],
                "--election-timeout[10ms] should be at least as 5 times as \
                 --heartbeat-interval[100ms]",
            ),
            (
                &[("election-timeout", "100000")],
                "--election-timeout[100000ms] is too long, and should be set less than 50000ms",
            ),
            (
                &[("tls-max-version", "TLS1.0")],
                "unexpected TLS version \"TLS1.0\" (must be one of: TLS1.2, TLS1.3)",
            ),
            (
                &[("tls-min-version", "TLS1.3"), ("tls-max-version", "TLS1.2")],
                "min version (TLS1.3) is greater than max version (TLS1.2)",
            ),
            (
                &[
                    ("enable-distributed-tracing", "true"),
                    ("distributed-tracing-sampling-rate", "-1"),
                ],
                "distributed tracing configurition is not valid: (tracing sampling rate must be \
                 positive)",
            ),
            (
                &[("initial-cluster", "default")],
                "error setting up initial cluster: URL scheme must be http, https, unix, or \
                 unixs: ",
            ),
        ] {
            assert_eq!(said(given), Err(sentence.into()));
        }
    }

    #[test]
    fn what_is_usual() {
        assert_eq!(said(&[]), Ok(()));
        let usual = [
            ("logger", "zap"),
            ("listen-peer-urls", "https://0.0.0.0:2380"),
            ("heartbeat-interval", "500"),
            ("election-timeout", "5000"),
            ("tls-min-version", "TLS1.2"),
            (
                "initial-cluster",
                "a=http://a:2380, b=https://b:2380,b=http://b:2381",
            ),
        ];
        assert_eq!(said(&usual), Ok(()));
    }
}
