//! A client that speaks in lines, and conversations of several such clients.

use std::collections::HashMap;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::common::soon;

/// A client.
pub struct Client {
    stream: TcpStream,
    heard: Vec<u8>,
}

impl Client {
    pub async fn connect(address: SocketAddr) -> Client {
        Client {
            stream: soon(TcpStream::connect(address)).await.unwrap(),
            heard: Vec::new(),
        }
    }

    /// Sends bytes as they are.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        soon(self.stream.write_all(bytes.as_ref())).await.unwrap();
    }

    /// Sends a line.
    pub async fn say(&mut self, line: &str) {
        self.send(format!("{line}\r\n")).await;
    }

    /// The next line; none when the server has closed.
    pub async fn hear(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.heard.windows(2).position(|pair| pair == b"\r\n") {
                let rest = self.heard.split_off(end + 2);
                let line = std::mem::replace(&mut self.heard, rest);
                return Some(String::from_utf8(line[..end].to_vec()).unwrap());
            }
            let read = soon(self.stream.read_buf(&mut self.heard)).await;
            // Closing with something unread resets the connection.
            if read.unwrap_or(0) == 0 {
                assert!(self.heard.is_empty(), "{:?}", self.heard);
                return None;
            }
        }
    }

    pub async fn ask(&mut self, line: &str) -> String {
        self.say(line).await;
        self.hear().await.expect("the server has closed")
    }

    /// The server has nothing more to say.
    pub async fn is_dropped(&mut self) {
        assert_eq!(self.hear().await, None);
    }

    /// The stream, for those who misuse it.
    pub fn stream(&mut self) -> &mut TcpStream {
        &mut self.stream
    }
}

/// Plays a conversation, a step in each line: `a> TEXT`, client a says it; `a< TEXT`, it hears that,
/// where a word `$x` is new and stands for the same everywhere else; `a!`, it hangs up; `a.`, it
/// hears that the server hangs up. A client comes when it first says something.
pub async fn play(address: SocketAddr, script: &str) {
    let mut clients: HashMap<&str, Client> = HashMap::new();
    let mut words: HashMap<String, String> = HashMap::new();
    let steps = script.lines().map(str::trim);
    for step in steps.filter(|step| !step.is_empty() && !step.starts_with('#')) {
        let (name, rest) = step.split_at(1);
        let (what, text) = rest.split_at(1);
        if what == ">" && !clients.contains_key(name) {
            clients.insert(name, Client::connect(address).await);
        }
        if what == "!" {
            clients.remove(name);
            continue;
        }
        let client = clients.get_mut(name).expect(step);
        let text = text.strip_prefix(' ').unwrap_or(text);
        match what {
            ">" => client.say(&filled(text, &words)).await,
            "<" => {
                let heard = client.hear().await.unwrap_or_else(|| panic!("{step}"));
                learn(text, &heard, &mut words);
                assert_eq!(heard, filled(text, &words), "{step}");
            }
            "." => client.is_dropped().await,
            _ => panic!("{step}"),
        }
    }
}

fn filled(text: &str, words: &HashMap<String, String>) -> String {
    let filled = text.split(' ').map(|word| {
        let known = word.strip_prefix('$').and_then(|name| words.get(name));
        known.map_or(word, String::as_str)
    });
    filled.collect::<Vec<_>>().join(" ")
}

fn learn(text: &str, heard: &str, words: &mut HashMap<String, String>) {
    for (word, heard) in text.split(' ').zip(heard.split(' ')) {
        if let Some(name) = word.strip_prefix('$') {
            words.entry(name.to_owned()).or_insert(heard.to_owned());
        }
    }
}
