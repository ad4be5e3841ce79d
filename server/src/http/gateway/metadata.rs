//! What of an HTTP request's headers goes with the call.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use tonic::Status;
use tonic::metadata::MetadataMap;

use crate::clock::{self, Instant};
use crate::grpc::deadline::{self, HEADER};

/// Headers that begin so go on without it.
const PREFIX: &str = "grpc-metadata-";

/// The metadata of a call: who asks, and what was meant for gRPC.
pub fn of(headers: &HeaderMap) -> Result<MetadataMap, Status> {
    let mut passed = HeaderMap::new();
    for (name, value) in headers {
        let meant = name.as_str().strip_prefix(PREFIX);
        if let Some(Ok(meant)) = meant.map(HeaderName::try_from) {
            if meant.as_str().ends_with("-bin") && !is_base64(value) {
                let text = format!("invalid binary header {name}");
                return Err(Status::invalid_argument(text));
            }
            passed.append(meant, value.clone());
        }
    }
    for value in headers.get_all(header::AUTHORIZATION) {
        passed.append(header::AUTHORIZATION, value.clone());
    }
    Ok(MetadataMap::from_headers(passed))
}

fn is_base64(value: &HeaderValue) -> bool {
    STANDARD.decode(value).is_ok() || STANDARD_NO_PAD.decode(value).is_ok()
}

/// When the client gives up; `None` for never.
pub fn deadline(headers: &HeaderMap) -> Result<Option<Instant>, Status> {
    let Some(value) = headers.get(HEADER).filter(|value| !value.is_empty()) else {
        return Ok(None);
    };
    let text = String::from_utf8_lossy(value.as_bytes());
    let invalid = || Status::invalid_argument(format!("invalid grpc-timeout: {text}"));
    let (amount, unit) = deadline::parted(&text).ok_or_else(invalid)?;
    let amount: i64 = amount.parse().map_err(|_| invalid())?;
    Ok(match amount {
        0 => None,
        // It has passed already.
        ..0 => Some(clock::now()),
        1.. => clock::now().checked_add(times(unit, amount)),
    })
}

fn times(unit: Duration, amount: i64) -> Duration {
    let nanos = unit.as_nanos().saturating_mul(amount.unsigned_abs().into());
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(all: &[(&'static str, &'static str)]) -> HeaderMap {
        let pairs = all.iter().map(|(name, value)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )
        });
        pairs.collect()
    }

    #[test]
    fn only_what_is_meant_for_grpc_goes_on() {
        let given = headers(&[
            ("authorization", "token"),
            ("grpc-metadata-hasleader", "true"),
            ("cookie", "a=b"),
            ("content-type", "text/plain"),
        ]);
        let passed = of(&given).unwrap().into_headers();
        let expected = headers(&[("hasleader", "true"), ("authorization", "token")]);
        assert_eq!(passed, expected);
        for (value, is_fine) in [("AAAA", true), ("AA==", true), ("AA", true), ("!!", false)] {
            let given = headers(&[("grpc-metadata-x-bin", value)]);
            assert_eq!(of(&given).is_ok(), is_fine, "{value}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn deadlines_as_etcds_gateway_reads_them() {
        let deadline = |text: &'static str| deadline(&headers(&[(HEADER, text)]));
        let after = |text| deadline(text).unwrap().unwrap() - clock::now();
        assert_eq!(after("2S"), Duration::from_secs(2));
        assert_eq!(after("+150m"), Duration::from_millis(150));
        assert_eq!(after("123456789n"), Duration::from_nanos(123_456_789));
        assert_eq!(after("-1S"), Duration::ZERO);
        assert_eq!(deadline("0S").unwrap(), None);
        assert_eq!(deadline("").unwrap(), None);
        deadline("9223372036854775807H").unwrap();
        for bad in ["S", "1", "1x", "1.5S", "x", "99999999999999999999S"] {
            let error = deadline(bad).unwrap_err();
            assert_eq!(error.message(), format!("invalid grpc-timeout: {bad}"));
        }
    }
}
