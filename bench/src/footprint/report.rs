//! The table, and the same for programs.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::Weighed;
use crate::{json, results::Machine, system::System};

const MIB: f64 = 1024.0 * 1024.0;

/// What stands above the rows.
pub fn head(machine: &Machine, quiet: Duration) -> String {
    let versions = machine.versions.iter();
    let versions: Vec<&str> = versions.map(|(_, text)| text.as_str()).collect();
    let systems = machine.versions.iter().map(|(system, _)| system.name());
    let titles: String = systems.map(|name| format!("{name:>11}")).collect();
    format!(
        "{}\n{} CPUs; resident memory after {} s of quiet; bytes per piece\n\n{:<24}{:>9}{titles}\n",
        versions.join(" | "),
        machine.cpus,
        quiet.as_secs(),
        "",
        "pieces",
    )
}

/// One kind of piece on every system, and the first by the second.
pub fn row(weighed: &[Weighed]) -> String {
    let Some(first) = weighed.first() else {
        return String::new();
    };
    let cells: String = weighed
        .iter()
        .map(|weighed| format!("{:>11.0}", weighed.per_piece()))
        .collect();
    let ratio = match weighed {
        [one, other] => format!("{:>9.2}×", one.per_piece() / other.per_piece()),
        _ => String::new(),
    };
    format!(
        "{:<24}{:>9}{cells}{ratio}\n",
        first.piece.title(),
        first.count
    )
}

/// What a server takes that has just started: the least that was seen before the pieces came.
pub fn idle(all: &[Weighed], systems: &[System]) -> String {
    let cells: String = systems
        .iter()
        .map(|system| format!("{:>11.1}", idle_bytes(all, *system) as f64 / MIB))
        .collect();
    format!("{:<33}{cells}\n", "before, with 10 connections, MiB")
}

/// The least that a system took before the pieces came.
pub fn idle_bytes(all: &[Weighed], system: System) -> u64 {
    let of_system = all.iter().filter(|weighed| weighed.system == system);
    of_system.map(|weighed| weighed.before).min().unwrap_or(0)
}

/// Everything.
pub fn document(machine: &Machine, all: &[Weighed]) -> Value {
    let idle = machine.versions.iter().map(|(system, _)| {
        let bytes = idle_bytes(all, *system);
        (system.name().to_owned(), json!(bytes))
    });
    json!({
        "machine": { "cpus": machine.cpus, "filesystem": machine.filesystem },
        "versions": json::versions(machine),
        "before_bytes": idle.collect::<Map<_, _>>(),
        "pieces": pieces(all),
    })
}

/// By the name of each piece, what it took on each system.
pub fn pieces(all: &[Weighed]) -> Map<String, Value> {
    let mut pieces = Map::new();
    for weighed in all {
        let piece = pieces.entry(weighed.piece.name());
        let systems = piece.or_insert_with(|| json!({ "count": weighed.count }));
        systems[weighed.system.name()] = json!({
            "before_bytes": weighed.before,
            "after_bytes": weighed.after,
            "bytes_per_piece": weighed.per_piece(),
        });
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::footprint::pieces::Piece;

    fn both() -> [Weighed; 2] {
        [(System::Latchd, 2_000), (System::Etcd, 5_000)].map(|(system, after)| Weighed {
            piece: Piece::Lease,
            system,
            count: 10,
            before: 1_000,
            after,
        })
    }

    #[test]
    fn a_row_has_bytes_per_piece_and_their_ratio() {
        let expected = "lease                          10        100        400     0.25×\n";
        assert_eq!(row(&both()), expected);
        assert_eq!(row(&[]), "");
    }

    #[test]
    fn programs_get_what_was_read() {
        let machine = Machine {
            cpus: 2,
            filesystem: "ext4".into(),
            versions: vec![
                (System::Latchd, "latchd".into()),
                (System::Etcd, "etcd".into()),
            ],
        };
        let document = document(&machine, &both());
        assert_eq!(document["before_bytes"]["etcd"], 1_000);
        assert_eq!(
            document["pieces"]["lease"]["latchd"]["bytes_per_piece"],
            100.0
        );
        assert_eq!(document["pieces"]["lease"]["count"], 10);
    }
}
