use std::time::Duration;

use super::connection::{Settings, TlsFiles, User};
use super::*;
use crate::variables::Variables;

fn parse(line: &str) -> Result<Args, clap::Error> {
    Args::checked(line.split_whitespace().map(OsString::from))
}

fn lock(line: &str) -> LockArgs {
    match parse(line).map(|args| args.command) {
        Ok(Command::Lock(lock)) => lock,
        other => panic!("{line}: {other:?}"),
    }
}

fn settings(line: &str, set: &[(&str, &str)]) -> Result<Settings, String> {
    let look = |name: &str| {
        let found = set.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    let args = parse(line).expect("valid");
    args.connection.settings(&Variables::of(&look))
}

#[test]
fn the_definition_is_sound() {
    Args::described().debug_assert();
}

#[test]
fn a_command_may_have_options_of_its_own() {
    let lock = lock("latchctl lock job --ttl 30 -- make --ttl 5 -- all");
    assert_eq!(lock.hold.ttl, Duration::from_secs(30));
    assert_eq!(lock.command, ["make", "--ttl", "5", "--", "all"]);
}

#[test]
fn several_names_and_how_they_are_held() {
    assert_eq!(lock("latchctl lock a b c -- x").names, ["a", "b", "c"]);
    let kinds = [
        ("latchctl lock a", Kind::Exclusive, Wait::Ever),
        ("latchctl lock a --shared --try", Kind::Shared, Wait::Not),
        (
            "latchctl lock a --semaphore 3 --timeout 1m30s",
            Kind::Semaphore(3),
            Wait::For(Duration::from_secs(90)),
        ),
    ];
    for (line, kind, wait) in kinds {
        assert_eq!(
            (lock(line).kind(), lock(line).wait()),
            (kind, wait),
            "{line}"
        );
    }
    let labels = lock("latchctl lock a --label team=x --label url=a=b").labels;
    let expected = [("team", "x"), ("url", "a=b")];
    assert_eq!(labels, expected.map(|(k, v)| (k.to_owned(), v.to_owned())));
}

#[test]
fn time_to_end_is_at_most_half_of_the_ttl() {
    let cases = [
        ("latchctl lock job -- x", 5000),
        ("latchctl lock job --ttl 3 -- x", 1500),
        ("latchctl lock job --ttl 200ms -- x", 100),
        ("latchctl lock job --kill-after 1 -- x", 1000),
    ];
    for (line, millis) in cases {
        let kill_after = lock(line).hold.kill_after();
        assert_eq!(kill_after, Duration::from_millis(millis), "{line}");
        assert!(lock(line).hold.notice() < lock(line).hold.ttl, "{line}");
    }
    assert!(parse("latchctl lock job --kill-after 6 -- x").is_err());
}

#[test]
fn what_makes_no_sense_is_refused() {
    for line in [
        "latchctl",
        "latchctl lock",
        "latchctl lock -- x",
        "latchctl lock job --try --timeout 1 -- x",
        "latchctl lock job --shared --semaphore 2 -- x",
        "latchctl lock job --semaphore 0 -- x",
        "latchctl lock job --label =x -- x",
        "latchctl lock job --ttl 50ms -- x",
        "latchctl lock job --timeout soon -- x",
        "latchctl elect name",
        "latchctl elect name --listen value",
        "latchctl elect name --listen -- x",
        "latchctl release job --force",
        "latchctl release job --token 0",
        "latchctl verify job x",
        "latchctl top --interval 1ms",
        "latchctl bench --clients 0",
        "latchctl session",
        "latchctl ls -o yaml",
    ] {
        assert!(parse(line).is_err(), "{line}");
    }
    let empty = ["latchctl", "lock", "", "--", "x"].map(OsString::from);
    assert!(Args::checked(empty).is_err());
}

#[test]
fn endpoints_are_given_or_in_the_environment() {
    let endpoints = |line, set: &[(&str, &str)]| settings(line, set).expect("valid").endpoints;
    let both = [
        ("LATCHD_ENDPOINTS", "a:1, b:2"),
        ("ETCDCTL_ENDPOINTS", "c:3"),
    ];
    let empty = [("LATCHD_ENDPOINTS", ""), both[1]];
    assert_eq!(endpoints("latchctl ls", &[]), ["127.0.0.1:2379"]);
    assert_eq!(endpoints("latchctl ls", &both[1..]), ["c:3"]);
    assert_eq!(endpoints("latchctl ls", &empty), ["c:3"]);
    assert_eq!(endpoints("latchctl ls", &both), ["a:1", "b:2"]);
    assert_eq!(
        endpoints("latchctl lock job --endpoints d:4,e:5 -- x", &both),
        ["d:4", "e:5"]
    );
    assert!(settings("latchctl ls --endpoints a:1,,b:2", &[]).is_err());
}

#[test]
fn users_and_passwords_as_etcdctl_has_them() {
    let user = |line, set: &[(&str, &str)]| settings(line, set).expect("valid").user;
    let is = |name: &str, password: Option<&str>| {
        let (name, password) = (name.to_owned(), password.map(str::to_owned));
        Some(User { name, password })
    };
    assert_eq!(user("latchctl ls", &[]), None);
    assert_eq!(user("latchctl ls --user ann", &[]), is("ann", None));
    assert_eq!(
        user("latchctl ls --user ann:a:b", &[]),
        is("ann", Some("a:b"))
    );
    assert_eq!(
        user("latchctl ls --user ann:x --password p", &[]),
        is("ann:x", Some("p"))
    );
    let set = [("ETCDCTL_USER", "ann"), ("LATCHD_PASSWORD", "p")];
    assert_eq!(user("latchctl ls", &set), is("ann", Some("p")));
    assert!(settings("latchctl ls --password p", &[]).is_err());
    assert!(settings("latchctl ls --user :p", &[]).is_err());
}

#[test]
fn tls_is_used_when_something_of_it_is_said() {
    let tls = |line, set: &[(&str, &str)]| settings(line, set).expect("valid").tls;
    assert_eq!(tls("latchctl ls", &[]), None);
    assert_eq!(
        tls("latchctl ls --insecure-transport=false", &[]),
        Some(TlsFiles::default())
    );
    let files = tls(
        "latchctl ls --cert c --insecure-skip-tls-verify",
        &[("ETCDCTL_KEY", "k")],
    );
    let expected = TlsFiles {
        identity: Some(("c".into(), "k".into())),
        skip_verify: true,
        ..TlsFiles::default()
    };
    assert_eq!(files, Some(expected));
    for line in ["latchctl ls --cert c", "latchctl ls --key k"] {
        assert!(settings(line, &[]).is_err(), "{line}");
    }
    let odd = settings("latchctl ls", &[("LATCHD_INSECURE_SKIP_TLS_VERIFY", "yes")]);
    assert!(odd.is_err_and(|wrong| wrong.contains("LATCHD_INSECURE_SKIP_TLS_VERIFY")));
}

#[test]
fn formats_have_etcdctls_names_too() {
    let format = |line, set: Option<(&'static str, &'static str)>| {
        let look = move |name: &str| {
            let (_, value) = set.filter(|(known, _)| *known == name)?;
            Some(value.to_owned())
        };
        let args = parse(line).expect("valid");
        let settings = args.output.settings(&Variables::of(&look))?;
        Ok::<_, String>(settings.format)
    };
    let json = Ok(Format::Json);
    assert_eq!(format("latchctl ls", None), Ok(Format::Table));
    assert_eq!(format("latchctl ls -o json", None), json);
    assert_eq!(format("latchctl ls -w json", None), json);
    assert_eq!(format("latchctl ls --write-out=json", None), json);
    assert_eq!(
        format("latchctl ls", Some(("ETCDCTL_WRITE_OUT", "json"))),
        json
    );
    assert!(format("latchctl ls", Some(("ETCDCTL_WRITE_OUT", "fields"))).is_err());
    assert_eq!(
        format(
            "latchctl ls -o table",
            Some(("ETCDCTL_WRITE_OUT", "fields"))
        ),
        Ok(Format::Table)
    );
}
