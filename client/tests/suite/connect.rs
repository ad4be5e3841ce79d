//! Ways to a server: several endpoints, TLS, a user, layers.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use latchd_client::{Client, Error, Options, Request, ServerKind, Tls};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tempfile::TempDir;
use tower::util::MapRequestLayer;

use crate::support::{Etcd, LONG_TTL, PATIENCE, Stage, soon};

on_both!(
    a_dead_endpoint_before_or_after_a_live_one_does_no_harm,
    a_layer_sees_every_request,
    a_user_is_no_harm_where_nobody_asks_for_one,
);

fn patient() -> Options {
    Options::default().with_request_timeout(PATIENCE)
}

/// Locks and unlocks in some ways.
async fn use_it(client: &Client, name: &str) {
    let session = soon(client.session(LONG_TTL)).await.expect("a session");
    for _ in 0..5 {
        let guard = soon(session.mutex(name).lock()).await.expect("the lock");
        soon(guard.unlock()).await.expect("released");
        let guard = soon(session.mutex(name).try_lock())
            .await
            .expect("the lock");
        soon(guard.unlock()).await.expect("released");
    }
    assert!(soon(client.list(name)).await.expect("a list").is_empty());
    soon(session.close()).await.expect("closed");
}

async fn a_dead_endpoint_before_or_after_a_live_one_does_no_harm(stage: Stage) {
    let port = latchd_conformance::ports::free().expect("a port");
    let dead = format!("http://127.0.0.1:{port}");
    for endpoints in [[&dead, &stage.endpoint], [&stage.endpoint, &dead]] {
        let client = soon(Client::connect(endpoints, patient())).await;
        let client = client.expect("one of them answers");
        assert_eq!(client.server(), stage.client.server());
        use_it(&client, &stage.name("job")).await;
    }
}

async fn a_layer_sees_every_request(stage: Stage) {
    let seen = Arc::new(AtomicUsize::new(0));
    let counter = seen.clone();
    let layer = MapRequestLayer::new(move |request: Request| {
        counter.fetch_add(1, SeqCst);
        request
    });
    let options = patient().with_layer(layer);
    let client = Client::connect([&stage.endpoint], options).await;
    let client = client.expect("a client");
    let connected = seen.load(SeqCst);
    assert!(connected > 0, "it asks what the server is");
    use_it(&client, &stage.name("job")).await;
    assert!(seen.load(SeqCst) >= connected + 20);
}

async fn a_user_is_no_harm_where_nobody_asks_for_one(stage: Stage) {
    let options = patient().with_user("ann", "secret");
    let client = Client::connect([&stage.endpoint], options).await;
    use_it(&client.expect("a client"), &stage.name("job")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_forced_is_not_asked() {
    let stage = Stage::etcd().await;
    let options = patient().with_server(ServerKind::Latchd);
    let client = Client::connect([&stage.endpoint], options).await;
    let client = client.expect("nothing was asked");
    assert!(client.is_latchd());
    assert_refused!(client.session(LONG_TTL).await, Error::NotLatchd);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_and_a_password() {
    let etcd = Etcd::start("http", &[]);
    let endpoint = [&etcd.endpoint];
    let open = soon(Client::connect(endpoint, patient()))
        .await
        .expect("a client");
    let mut admin = open.etcd();
    admin.role_add("root").await.expect("a role");
    admin
        .user_add("root", "secret", None)
        .await
        .expect("a user");
    admin
        .user_grant_role("root", "root")
        .await
        .expect("granted");
    admin.auth_enable().await.expect("authentication is on");

    let options = patient().with_user("root", "secret");
    let client = Client::connect(endpoint, options).await.expect("a client");
    use_it(&client, "job").await;
    let wrong = patient().with_user("root", "guessed");
    assert_refused!(Client::connect(endpoint, wrong).await, Error::Refused(_));
    let nobody = Client::connect(endpoint, patient())
        .await
        .expect("a client");
    assert_refused!(nobody.session(LONG_TTL).await, Error::Refused(_));
}

fn named(name: &str) -> CertificateParams {
    let names = [name.replace(' ', "-")];
    let mut params = CertificateParams::new(names).expect("parameters");
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

/// A CA, with a certificate for the server and one for the client, as files for etcd.
struct Certificates {
    dir: TempDir,
    ca: String,
    client: (String, String),
}

impl Certificates {
    fn new(server_name: &str) -> Certificates {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let mut params = named("the CA");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let ca = params.self_signed(&key).expect("a certificate").pem();
        let issuer = Issuer::new(params, key);
        let issue = |name: &str| {
            let params = named(name);
            let key = KeyPair::generate().expect("a key");
            let certificate = params.signed_by(&key, &issuer).expect("a certificate");
            (certificate.pem(), key.serialize_pem())
        };
        let (server, client) = (issue(server_name), issue("client"));
        let files = [
            ("ca", &ca),
            ("server", &server.0),
            ("server-key", &server.1),
        ];
        for (name, pem) in files {
            std::fs::write(dir.path().join(name), pem).expect("a file");
        }
        Certificates { dir, ca, client }
    }

    fn flags(&self) -> Vec<String> {
        let file = |name: &str| self.dir.path().join(name).display().to_string();
        vec![
            format!("--trusted-ca-file={}", file("ca")),
            format!("--cert-file={}", file("server")),
            format!("--key-file={}", file("server-key")),
            "--client-cert-auth".into(),
        ]
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_with_certificates_on_both_sides() {
    let certificates = Certificates::new("locks.test");
    let etcd = Etcd::start("https", &certificates.flags());
    let (certificate, key) = certificates.client.clone();
    let tls = Tls::new()
        .with_ca_pem(certificates.ca.clone())
        .with_server_name("locks.test");
    let mutual = tls.clone().with_identity_pem(certificate, key);
    let options = || patient().with_tls(mutual.clone());
    let client = soon(Client::connect([&etcd.endpoint], options())).await;
    use_it(&client.expect("a client"), "job").await;
    // The same without the scheme.
    let bare = etcd.endpoint.trim_start_matches("https://");
    let client = soon(Client::connect([bare], options())).await;
    use_it(&client.expect("a client"), "job").await;

    // Any server will do, but this one still wants to know its clients.
    let (certificate, key) = certificates.client.clone();
    let unverified = Tls::new().with_verification_skipped();
    let known = unverified.clone().with_identity_pem(certificate, key);
    let client = soon(Client::connect([&etcd.endpoint], patient().with_tls(known)));
    use_it(&client.await.expect("a client"), "job").await;

    let hasty = || Options::default().with_request_timeout(std::time::Duration::from_millis(500));
    let strangers = [
        (
            "another name",
            mutual.clone().with_server_name("other.test"),
        ),
        ("no certificate", tls),
        ("no certificate, and none asked for", unverified),
        (
            "the system's roots",
            Tls::new().with_server_name("locks.test"),
        ),
    ];
    for (what, tls) in strangers {
        let refused = Client::connect([&etcd.endpoint], hasty().with_tls(tls)).await;
        assert!(refused.is_err(), "{what}: {refused:?}");
    }
    let nonsense = hasty().with_tls(
        Tls::new()
            .with_ca_pem("no PEM")
            .with_identity_pem("no", "PEM"),
    );
    let refused = Client::connect([&etcd.endpoint], nonsense).await;
    assert!(refused.is_err(), "{refused:?}");
}
