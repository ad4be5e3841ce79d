//! Names, keys and values are bytes; people, programs and the command line have text.

use std::ffi::OsStr;
use std::fmt::Write;
use std::os::unix::ffi::OsStrExt;

/// Reads a name from the command line: as it is, or with `--hex` as [`hex`] writes it.
pub fn read(text: &OsStr, in_hex: bool) -> Result<Vec<u8>, String> {
    if !in_hex {
        return Ok(text.as_bytes().to_vec());
    }
    let text = text.to_string_lossy();
    from_hex(&text).ok_or_else(|| {
        format!("`{text}` is not what --hex reads; `job` is written \\x6a\\x6f\\x62")
    })
}

/// Reads a name that has to be UTF-8, as the names of locks to take are.
pub fn read_text(text: &OsStr, in_hex: bool) -> Result<String, String> {
    String::from_utf8(read(text, in_hex)?)
        .map_err(|wrong| format!("the name `{}` is not UTF-8", show(wrong.as_bytes())))
}

/// For people: what is not text, or would command the terminal, as `\xNN`.
pub fn show(bytes: &[u8]) -> String {
    let mut shown = String::new();
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if c.is_control() {
                let mut buffer = [0; 4];
                shown.push_str(&hex(c.encode_utf8(&mut buffer).as_bytes()));
            } else {
                shown.push(c);
            }
        }
        shown.push_str(&hex(chunk.invalid()));
    }
    shown
}

/// As etcdctl writes it with `--hex`: every byte as `\xNN`.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to memory does not fail.
        let _ = write!(text, "\\x{byte:02x}");
        text
    })
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let mut pieces = text.split("\\x");
    if pieces.next() != Some("") {
        return None;
    }
    let byte = |digits: &str| {
        let is_byte = digits.len() == 2 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        is_byte.then(|| u8::from_str_radix(digits, 16).ok())?
    };
    pieces.map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_in_hex_is_read_again() {
        let name = b"job \xff\0";
        assert_eq!(hex(name), "\\x6a\\x6f\\x62\\x20\\xff\\x00");
        assert_eq!(read(OsStr::new(&hex(name)), true), Ok(name.to_vec()));
        for wrong in ["job", "\\x6", "\\x6a6f", "6a", "\\xzz", "\\x+1"] {
            assert!(read(OsStr::new(wrong), true).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_no_text_is_escaped_for_people() {
        assert_eq!(show("jöb/1".as_bytes()), "jöb/1");
        assert_eq!(show(b"a\x1b[2Jb\xff\n"), "a\\x1b[2Jb\\xff\\x0a");
        assert_eq!(show("\u{9b}".as_bytes()), "\\xc2\\x9b");
    }

    #[test]
    fn names_of_locks_are_text() {
        assert_eq!(read_text(OsStr::new("jöb"), false), Ok("jöb".into()));
        assert!(read_text(OsStr::from_bytes(b"\xff"), false).is_err());
    }
}
