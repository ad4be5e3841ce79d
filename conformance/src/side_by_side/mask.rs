//! What two servers may print differently: addresses, IDs, times, sizes, hashes,
//! and the numbers of raft. Each is replaced by a word; whether it is there at
//! all, and what surrounds it, is still compared.

/// Texts of one server that stand for something that the other has as well.
pub type Names = Vec<(String, &'static str)>;

/// A number after one of these is the server's own, unless it is zero.
const NUMBER_AFTER: &[&str] = &[
    "\"raft_term\":",
    "\"raftTerm\":",
    "\"raftIndex\":",
    "\"raftAppliedIndex\":",
    "\"dbSize\":",
    "\"dbSizeInUse\":",
    "\"dbSizeQuota\":",
    "\"hash\":",
    "\"ttl\":",
    "\"RaftTerm\" : ",
    "\"RaftIndex\" : ",
    "\"RaftAppliedIndex\" : ",
    "\"DBSize\" : ",
    "\"DBSizeInUse\" : ",
    "\"DBSizeQuota\" : ",
    "\"Hash\" : ",
    "\"TTL\" : ",
    "remaining(",
];

/// What comes after one of these, up to the character, is a time, a client's port
/// or an address in memory; then the lease in a key under `job/` or `post/` in
/// base64; at last the stack of a panic of etcdctl's.
const TEXT_AFTER: &[(&str, char)] = &[
    ("took = ", '\n'),
    ("]. took ", '\n'),
    ("\"took\":\"", '"'),
    ("\"Took\" : ", '\n'),
    ("\"ts\":\"", '"'),
    ("\"size\":\"", '"'),
    ("\"target\":\"etcd-endpoints://", '/'),
    ("LocalAddr: '", '\''),
    ("\"key\":\"am9iL", '"'),
    ("\"key\":\"cG9zdC", '"'),
    ("goroutine 1 [running]:", '\0'),
];

/// Columns of `-w simple` by the command that prints them: sizes, raft's numbers,
/// hashes. As in the first row of `endpoint status -w table`, from 0.
const COLUMNS: &[(&[&str], &[usize])] = &[
    (&["endpoint", "status"], &[4, 5, 6, 7, 10, 11, 12]),
    (&["endpoint", "hashkv"], &[1]),
    (&["endpoint", "health", "table"], &[2]),
];

/// A run of at least so many hexadecimal digits is an ID of a cluster, a member
/// or a lease, in either base. Fewer would be a matter of one ID in 30,000.
const ID_DIGITS: usize = 13;

/// `text` with what is the server's own replaced by words.
#[must_use]
pub fn mask(text: &str, arguments: &[String], names: &Names) -> String {
    // Go puts one space or two there, as the hash of etcd's binary decides.
    let mut text = text.replace("  alarm:", " alarm:");
    // etcdctl pads an ID to sixteen digits, and one in sixteen has fewer.
    for padded in ["Member ", " in cluster "] {
        text = text.replace(&format!("{padded} "), padded);
    }
    for (own, name) in names {
        text = text.replace(own, name);
    }
    for (before, end) in TEXT_AFTER {
        text = replace_after(&text, before, |rest| rest.find(*end).unwrap_or(rest.len()));
    }
    for before in NUMBER_AFTER {
        text = replace_after(&text, before, number);
    }
    let table = arguments.iter().any(|argument| argument == "table");
    let text = columns(&ids(&text), arguments, table);
    if table { narrow(&text) } else { text }
}

/// Replaces what follows each `before`, as long as `length` says, by `<own>`.
fn replace_after(text: &str, before: &str, length: impl Fn(&str) -> usize) -> String {
    let mut parts = text.split(before);
    let mut masked = parts.next().unwrap_or_default().to_owned();
    for rest in parts {
        let length = length(rest);
        masked.push_str(before);
        masked.push_str(if length == 0 { "" } else { "<own>" });
        masked.push_str(&rest[length..]);
    }
    masked
}

/// How long the number at the start is; a zero has no length, and so stays.
fn number(text: &str) -> usize {
    let digits = text.trim_start_matches(|c: char| c.is_ascii_digit());
    let length = text.len() - digits.len();
    if &text[..length] == "0" { 0 } else { length }
}

fn ids(text: &str) -> String {
    let mut masked = String::new();
    let mut rest = text;
    while !rest.is_empty() {
        let word = rest.len() - rest.trim_start_matches(char::is_alphanumeric).len();
        let (word, after) = rest.split_at(word);
        masked.push_str(if is_id(word) { "<id>" } else { word });
        let other = after.len()
            - after
                .trim_start_matches(|c| !char::is_alphanumeric(c))
                .len();
        let (other, after) = after.split_at(other);
        masked.push_str(other);
        rest = after;
    }
    masked
}

fn is_id(word: &str) -> bool {
    let digit = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
    word.len() >= ID_DIGITS && word.chars().all(digit)
}

fn columns(text: &str, arguments: &[String], table: bool) -> String {
    let is_it = |(command, _): &&(&[&str], &[usize])| {
        command
            .iter()
            .all(|word| arguments.iter().any(|a| a == word))
    };
    let other_format = arguments.iter().any(|a| a == "json" || a == "fields");
    match COLUMNS.iter().find(is_it) {
        Some((_, own)) if !other_format => {
            let (separator, first) = if table { ("│", 1) } else { (", ", 0) };
            let own: Vec<usize> = own.iter().map(|column| column + first).collect();
            let lines = text.split('\n').map(|line| mask_row(line, separator, &own));
            lines.collect::<Vec<_>>().join("\n")
        }
        _ => text.to_owned(),
    }
}

fn mask_row(line: &str, separator: &str, own: &[usize]) -> String {
    let is_value = |cell: &str| cell.contains(|c: char| c.is_ascii_digit());
    let cells = line.split(separator).enumerate().map(|(at, cell)| {
        if own.contains(&at) && is_value(cell) {
            "<own>"
        } else {
            cell
        }
    });
    cells.collect::<Vec<_>>().join(separator)
}

/// A table without the spaces and rules that are as wide as its widest cell.
fn narrow(text: &str) -> String {
    let lines = text.split('\n').map(|line| {
        let cells = line.split('│').map(|cell| cell.trim());
        let row = cells.collect::<Vec<_>>().join("│");
        row.replace('─', "")
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(text: &str, command: &str) -> String {
        let arguments: Vec<String> = command.split(' ').map(str::to_owned).collect();
        let names = vec![("127.0.0.1:23790".to_owned(), "<client>")];
        mask(text, &arguments, &names)
    }

    #[test]
    fn a_shorter_id_is_no_difference() {
        let padded = "Member  bf9071f4639c75c updated in cluster  bf9071f4639c75d";
        assert_eq!(masked(padded, "x"), "Member <id> updated in cluster <id>");
    }

    #[test]
    fn addresses_ids_and_times_become_words() {
        let text = "127.0.0.1:23790 of 8e9e05c52164694d took = 1.5ms\nend";
        assert_eq!(masked(text, "x"), "<client> of <id> took = <own>\nend");
    }

    #[test]
    fn a_number_of_raft_is_masked_but_not_its_absence() {
        let text = r#"{"revision":5,"raft_term":2},{"raft_term":0}"#;
        let expected = r#"{"revision":5,"raft_term":<own>},{"raft_term":0}"#;
        assert_eq!(masked(text, "get a"), expected);
    }

    #[test]
    fn a_lease_in_a_key_is_masked_and_short_words_are_not() {
        let text = "job/694d9a5f2b1c3a01\nbeef 1234 facade";
        assert_eq!(masked(text, "x"), "job/<id>\nbeef 1234 facade");
    }

    #[test]
    fn sizes_in_columns_are_masked_where_the_command_prints_some() {
        let text = "a, b, 3.7.1, 3.7.0, 20 kB, 16 kB, 20%, 0 B, true, false, 2, 4, 4, , , false";
        let expected = "a, b, 3.7.1, 3.7.0, <own>, <own>, <own>, <own>, true, false, <own>, <own>, <own>, , , false";
        assert_eq!(masked(text, "endpoint status"), expected);
        assert_eq!(masked(text, "get a"), text);
    }

    #[test]
    fn a_tables_widths_do_not_count() {
        let wide = "┌──────┬──┐\n│   ID │  │\n└──────┴──┘";
        assert_eq!(masked(wide, "member list -w table"), "┌┬┐\n│ID││\n└┴┘");
    }
}
