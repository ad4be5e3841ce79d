//! TLS for the line doors, with the server's certificate.

use std::path::Path;
use std::sync::Arc;

use latchd::config::{DoorSettings, DoorTls};
use latchd::{Config, Server};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::common::{Fixture, soon};
use crate::lines::Client;
use crate::support::{dreadlock, elock, open_with};

/// Makes a certificate for localhost; returns the files, and what trusts it.
fn certificate(dir: &Path) -> (DoorTls, TlsConnector) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let files = DoorTls {
        cert: dir.join("cert.pem"),
        key: dir.join("key.pem"),
    };
    std::fs::write(&files.cert, made.cert.pem()).unwrap();
    std::fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    (files, TlsConnector::from(Arc::new(config)))
}

async fn secured(dir: &Path) -> (Fixture, TlsConnector) {
    let (files, connector) = certificate(dir);
    let fixture = open_with(|config| config.doors.tls = Some(files)).await;
    (fixture, connector)
}

#[tokio::test]
async fn lines_over_tls() {
    let dir = tempfile::tempdir().unwrap();
    let (fixture, connector) = secured(dir.path()).await;
    for (address, asked) in [
        (
            dreadlock(&fixture),
            [
                ("lock job 0\r\n", "l locked\r\n"),
                ("unlock job\r\n", "u unlocked\r\n"),
            ],
        ),
        (
            elock(&fixture),
            [
                ("lock job\r\n", "200 Acquired\r\n"),
                ("unlock job\r\n", "200 Unlocked\r\n"),
            ],
        ),
    ] {
        let stream = TcpStream::connect(address).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let stream = soon(connector.connect(name, stream)).await.unwrap();
        let mut stream = BufReader::new(stream);
        for (line, answer) in asked {
            stream.write_all(line.as_bytes()).await.unwrap();
            let mut heard = String::new();
            soon(stream.read_line(&mut heard)).await.unwrap();
            assert_eq!(heard, answer);
        }
    }
}

#[tokio::test]
async fn without_tls_nothing_is_answered() {
    let dir = tempfile::tempdir().unwrap();
    let (fixture, _) = secured(dir.path()).await;
    let mut plain = Client::connect(dreadlock(&fixture)).await;
    plain.say("lock job 0").await;
    // An alert of TLS, or nothing.
    let mut heard = Vec::new();
    let _ = soon(tokio::io::AsyncReadExt::read_to_end(
        plain.stream(),
        &mut heard,
    ))
    .await;
    assert!(!heard.windows(6).any(|part| part == b"locked"), "{heard:?}");
}

#[tokio::test]
async fn a_server_does_not_start_with_files_that_are_no_certificate() {
    let dir = tempfile::tempdir().unwrap();
    let (files, _) = certificate(dir.path());
    let (other, _) = {
        let inner = dir.path().join("other");
        std::fs::create_dir(&inner).unwrap();
        certificate(&inner)
    };
    std::fs::write(dir.path().join("text"), "a letter").unwrap();
    let text = dir.path().join("text");
    for (cert, key, said) in [
        (dir.path().join("none"), files.key.clone(), "none"),
        (text, files.key.clone(), "--cert-file"),
        (files.cert.clone(), other.key, "--key-file"),
    ] {
        let mut config = Config::local(dir.path().join("data"));
        let doors = DoorSettings {
            tls: Some(DoorTls { cert, key }),
            ..config.doors.clone()
        };
        config.doors = doors;
        config.doors.dreadlock = url::Url::parse("dreadlock://127.0.0.1:0").ok();
        let refused = Server::start(config).await.map(drop).unwrap_err();
        assert!(refused.to_string().contains(said), "{refused}");
    }
}
