//! What two servers may answer differently though they agree, by field.
//!
//! | kind | becomes |
//! |---|---|
//! | revisions | their distance from the revision at which the case began: `R+2` |
//! | IDs that servers choose | a name, by order of first appearance: `lease 1`; the same ID keeps its name, and so does its hex in a key |
//! | hashes | a name as well, so that equal ones stay equal |
//! | numbers of raft, sizes | a word; that they are there, and not zero, is compared |
//! | the rest of a TTL | a word, when it is in bounds |
//! | the order of a lease's keys | is by name |
//! | addresses and names of a member | a word, wherever they stand |
//!
//! Nothing else is masked. Bytes become text, so that a difference can be read.

use std::hash::{DefaultHasher, Hash, Hasher};

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Map, Value, json};

use super::transcript::{Step, Transcript};

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Revision,
    /// An ID; new ones are named so.
    Id(&'static str),
    Hash,
    /// The server's own number.
    Own,
    /// Bytes, in base64; in a key the ID of a lease may stand in hex.
    Bytes,
    Key,
}

/// The kind of each field that is not compared as it is, by its name in JSON.
const FIELDS: &[(&str, Kind)] = &[
    ("revision", Kind::Revision),
    ("create_revision", Kind::Revision),
    ("mod_revision", Kind::Revision),
    ("compact_revision", Kind::Revision),
    ("hash_revision", Kind::Revision),
    ("start_revision", Kind::Revision),
    ("min_mod_revision", Kind::Revision),
    ("max_mod_revision", Kind::Revision),
    ("min_create_revision", Kind::Revision),
    ("max_create_revision", Kind::Revision),
    ("rev", Kind::Revision),
    ("cluster_id", Kind::Id("cluster")),
    ("member_id", Kind::Id("member")),
    ("memberID", Kind::Id("member")),
    ("targetID", Kind::Id("member")),
    ("leader", Kind::Id("member")),
    ("lease", Kind::Id("lease")),
    ("ID", Kind::Id("lease")),
    ("hash", Kind::Hash),
    ("raft_term", Kind::Own),
    ("raftTerm", Kind::Own),
    ("raftIndex", Kind::Own),
    ("raftAppliedIndex", Kind::Own),
    ("dbSize", Kind::Own),
    ("dbSizeInUse", Kind::Own),
    ("dbSizeQuota", Kind::Own),
    ("key", Kind::Key),
    ("keys", Kind::Key),
    ("range_end", Kind::Key),
    ("value", Kind::Bytes),
];

/// A revision farther than this from the case's start was meant as it is.
const NEAR: i64 = 1_000_000;

/// An ID below this was chosen by the case.
const CHOSEN: u64 = 1 << 32;

/// How many seconds a lease may have run down, on a busy machine.
const RUN_DOWN: i64 = 10;

/// An ID in a key has at least so many hexadecimal digits.
const ID_DIGITS: usize = 13;

/// Masks what one server answered in one case.
pub struct Mask<'a> {
    first: i64,
    own: &'a [(String, &'static str)],
    names: Vec<(u64, String)>,
    hashes: Vec<String>,
}

impl<'a> Mask<'a> {
    /// For a case that began at revision `first`, on a server that has these
    /// texts of its own: addresses, names.
    #[must_use]
    pub fn new(first: i64, own: &'a [(String, &'static str)]) -> Self {
        Self {
            first,
            own,
            names: Vec::new(),
            hashes: Vec::new(),
        }
    }

    /// The whole transcript, masked in its order.
    #[must_use]
    pub fn transcript(mut self, steps: Transcript) -> Transcript {
        let masked = steps.into_iter().map(|step| Step {
            what: step.what,
            request: self.value("", step.request),
            outcome: self.value("", step.outcome),
        });
        masked.collect()
    }

    /// A value in a field of this name.
    fn value(&mut self, field: &str, value: Value) -> Value {
        let kind = FIELDS.iter().find(|(name, _)| *name == field).map(|f| f.1);
        match (value, kind) {
            (Value::Object(object), _) => self.object(object),
            (Value::Array(all), _) => all.into_iter().map(|v| self.value(field, v)).collect(),
            (value @ (Value::Null | Value::Bool(_)), _) => value,
            (value, Some(kind)) => self.known(kind, &value).unwrap_or(value),
            (Value::String(text), None) => match text.strip_prefix("memberID:") {
                Some(alarm) => json!(self.alarm(alarm)),
                None => json!(self.text(&text)),
            },
            (value, None) => value,
        }
    }

    fn object(&mut self, mut object: Map<String, Value>) -> Value {
        if let Some(rest) = rest_of_ttl(&object) {
            object.insert("TTL".to_owned(), json!(rest));
        }
        let of_lease = object.contains_key("grantedTTL");
        let masked = object.into_iter().map(|(name, value)| {
            let value = match self.value(&name, value) {
                Value::Array(keys) if of_lease => in_order(keys),
                value => value,
            };
            (name, value)
        });
        Value::Object(masked.collect())
    }

    /// The masked value; none if it is not of the field's usual form.
    fn known(&mut self, kind: Kind, value: &Value) -> Option<Value> {
        match kind {
            Kind::Revision => Some(json!(self.revision(number(value)?)?)),
            Kind::Id(what) => Some(json!(self.id(id(value)?, what)?)),
            Kind::Hash => Some(json!(self.hash(&value.to_string()))),
            Kind::Own => number(value).filter(|n| *n != 0).map(|_| json!("<own>")),
            Kind::Bytes => Some(json!(self.text(&readable(value)?))),
            Kind::Key => {
                let key = readable(value)?;
                Some(json!(self.key(&key)))
            }
        }
    }

    fn revision(&self, revision: i64) -> Option<String> {
        let distance = revision.checked_sub(self.first)?;
        // Zero and less stand for no revision at all.
        let meant = revision <= 0 || distance.checked_abs()? > NEAR;
        (!meant).then(|| format!("R{distance:+}"))
    }

    fn id(&mut self, id: u64, what: &str) -> Option<String> {
        if id < CHOSEN || id.wrapping_neg() < CHOSEN {
            return None;
        }
        if let Some((_, name)) = self.names.iter().find(|(known, _)| *known == id) {
            return Some(name.clone());
        }
        let others = self.names.iter().filter(|(_, name)| name.starts_with(what));
        let name = format!("{what} {}", others.count() + 1);
        self.names.push((id, name.clone()));
        Some(name)
    }

    fn hash(&mut self, hash: &str) -> String {
        let at = self.hashes.iter().position(|known| known == hash);
        let at = at.unwrap_or_else(|| {
            self.hashes.push(hash.to_owned());
            self.hashes.len() - 1
        });
        format!("hash {}", at + 1)
    }

    /// A key with the IDs in it named.
    fn key(&mut self, key: &str) -> String {
        let words = key.split('/').map(|word| {
            let id = u64::from_str_radix(word, 16).ok();
            let id = id.filter(|id| word.len() >= ID_DIGITS && *word == format!("{id:x}"));
            let name = id.and_then(|id| self.id(id, "lease"));
            name.map_or_else(|| word.to_owned(), |name| format!("<{name}>"))
        });
        words.collect::<Vec<_>>().join("/")
    }

    /// An alarm among a status's errors, as Go prints a message: after the ID it puts
    /// one space or two, as its build decides.
    fn alarm(&mut self, alarm: &str) -> String {
        let mut words = alarm.split_whitespace();
        let id = words.next().unwrap_or_default();
        let name = id.parse().ok().and_then(|id| self.id(id, "member"));
        let rest: Vec<&str> = words.collect();
        format!(
            "memberID:{} {}",
            name.as_deref().unwrap_or(id),
            rest.join(" ")
        )
    }

    /// Addresses wherever they stand; a name only by itself.
    fn text(&self, text: &str) -> String {
        let replace = |text: String, (own, word): &(String, &str)| match own.contains(':') {
            true => text.replace(own, word),
            false if text == *own => (*word).to_owned(),
            false => text,
        };
        // Go's protobuf library puts one space or the other, as its build decides.
        let text = text.replace('\u{a0}', " ");
        self.own.iter().fold(text, replace)
    }
}

/// A word for the rest of a TTL that is asked for, when it is in bounds.
fn rest_of_ttl(object: &Map<String, Value>) -> Option<&'static str> {
    let granted = number(object.get("grantedTTL")?)?;
    let rest = object.get("TTL").map_or(Some(0), number)?;
    let least = (granted - RUN_DOWN).max(0);
    (least..=granted).contains(&rest).then_some("<rest>")
}

/// The keys of a lease, which etcd gives in the order of a hash table.
fn in_order(mut keys: Vec<Value>) -> Value {
    keys.sort_by_key(Value::to_string);
    Value::Array(keys)
}

fn number(value: &Value) -> Option<i64> {
    match value {
        Value::String(text) => text.parse().ok(),
        value => value.as_i64(),
    }
}

/// An ID of either sign, as the bits that it has in hex.
fn id(value: &Value) -> Option<u64> {
    match value {
        Value::String(text) => {
            let signed = || text.parse().ok().map(i64::cast_unsigned);
            text.parse().ok().or_else(signed)
        }
        value => value.as_u64(),
    }
}

/// Bytes as text; what is not printable is escaped. Of many bytes the first are shown,
/// and a hash stands for the whole.
fn readable(value: &Value) -> Option<String> {
    const MANY: usize = 4096;
    let bytes = BASE64_STANDARD.decode(value.as_str()?).ok()?;
    if bytes.len() <= MANY {
        return Some(bytes.escape_ascii().to_string());
    }
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    let (start, length, hash) = (bytes[..20].escape_ascii(), bytes.len(), hasher.finish());
    Some(format!("{start}… ({length} bytes, hash {hash:016x})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(outcomes: Vec<Value>) -> Vec<Value> {
        let own = [("127.0.0.1:9".to_owned(), "<client>")];
        let steps = outcomes.into_iter().map(|outcome| Step {
            what: "x".to_owned(),
            request: Value::Null,
            outcome,
        });
        let steps = Mask::new(100, &own).transcript(steps.collect());
        steps.into_iter().map(|step| step.outcome).collect()
    }

    #[test]
    fn revisions_count_from_the_start_wherever_they_stand() {
        let value = json!({"header": {"revision": "102"}, "kvs": [{"create_revision": "99"}], "compact_revision": "100"});
        let expected = json!({"header": {"revision": "R+2"}, "kvs": [{"create_revision": "R-1"}], "compact_revision": "R+0"});
        assert_eq!(masked(vec![value]), [expected]);
    }

    #[test]
    fn a_revision_that_was_meant_stays() {
        let value = json!({"revision": "9223372036854775807"});
        assert_eq!(masked(vec![value.clone()]), [value]);
        let value = json!({"revision": "-9223372036854775808"});
        assert_eq!(masked(vec![value.clone()]), [value]);
    }

    #[test]
    fn ids_have_names_that_stay_theirs() {
        let one = json!({"ID": "7587894318237495809"});
        let two = json!({"lease": "7587894318237495810", "ID": "7587894318237495809"});
        let chosen = json!({"ID": "7", "lease": "-7"});
        assert_eq!(
            masked(vec![one, two, chosen.clone()]),
            [
                json!({"ID": "lease 1"}),
                json!({"ID": "lease 1", "lease": "lease 2"}),
                chosen
            ]
        );
    }

    #[test]
    fn a_lease_in_a_key_has_the_name_of_the_lease() {
        let key = BASE64_STANDARD.encode("job/694d9a5f2b1c3a01");
        let grant = json!({"ID": 0x694d_9a5f_2b1c_3a01_u64.to_string()});
        let lock = json!({"key": key});
        assert_eq!(
            masked(vec![grant, lock]),
            [json!({"ID": "lease 1"}), json!({"key": "job/<lease 1>"})]
        );
    }

    #[test]
    fn an_id_in_a_key_that_is_written_otherwise_stays() {
        for key in ["job/694D9A5F2B1C3A01", "job/0694d9a5f2b1c3a01", "job/beef"] {
            let value = json!({"key": BASE64_STANDARD.encode(key)});
            assert_eq!(masked(vec![value]), [json!({"key": key})]);
        }
    }

    #[test]
    fn hashes_are_compared_with_one_another_only() {
        let values = [1, 2, 1].map(|hash| json!({"hash": hash}));
        let names = ["hash 1", "hash 2", "hash 1"].map(|hash| json!({"hash": hash}));
        assert_eq!(masked(values.to_vec()), names);
    }

    #[test]
    fn the_rest_of_a_ttl_is_masked_in_bounds_only() {
        let ttl = |rest: &str| json!({"TTL": rest, "grantedTTL": "60"});
        assert_eq!(masked(vec![ttl("58")]), [ttl("<rest>")]);
        for out in ["61", "40", "-1"] {
            assert_eq!(masked(vec![ttl(out)]), [ttl(out)]);
        }
        let grant = json!({"TTL": "60"});
        assert_eq!(masked(vec![grant.clone()]), [grant]);
    }

    #[test]
    fn a_leases_keys_are_in_order_and_others_as_they_came() {
        let keys = json!(["Yg==", "YQ=="]);
        let lease = json!({"grantedTTL": "9", "TTL": "9", "keys": keys});
        let other = json!({"keys": keys});
        let masked = masked(vec![lease, other]);
        assert_eq!(masked[0]["keys"], json!(["a", "b"]));
        assert_eq!(masked[1]["keys"], json!(["b", "a"]));
    }

    #[test]
    fn a_member_in_the_text_of_an_alarm_has_its_name() {
        let text = |spaces| json!({"errors": [format!("memberID:7587894318237495809{spaces}alarm:NOSPACE")]});
        let expected = json!({"errors": ["memberID:member 1 alarm:NOSPACE"]});
        assert_eq!(
            masked(vec![text(" "), text("  ")]),
            [expected.clone(), expected]
        );
    }

    #[test]
    fn bytes_become_text_and_addresses_words() {
        let value = json!({"kvs": [{"key": "YQ==", "value": "AP8="}], "clientURLs": ["http://127.0.0.1:9"]});
        let expected = json!({"kvs": [{"key": "a", "value": "\\x00\\xff"}], "clientURLs": ["http://<client>"]});
        assert_eq!(masked(vec![value]), [expected]);
    }

    #[test]
    fn of_many_bytes_each_counts() {
        let value = |last: u8| {
            let mut bytes = vec![b'v'; 10_000];
            bytes.push(last);
            json!({"value": BASE64_STANDARD.encode(bytes)})
        };
        let masked = masked(vec![value(1), value(2), value(1)]);
        assert_ne!(masked[0], masked[1]);
        assert_eq!(masked[0], masked[2]);
        assert!(masked[0].to_string().len() < 100, "{}", masked[0]);
    }

    #[test]
    fn a_number_of_raft_may_differ_but_not_be_zero() {
        let term = |term: Value| json!({"raft_term": term});
        assert_eq!(masked(vec![term(json!("3"))]), [term(json!("<own>"))]);
        assert_eq!(masked(vec![term(json!("0"))]), [term(json!("0"))]);
    }
}
