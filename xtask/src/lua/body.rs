//! What a script does, as far as the rules need it: a scan without comments and strings.

use std::collections::BTreeSet;

/// The code of a script, line by line.
#[derive(Debug)]
pub(super) struct Body {
    /// Code without comments, with every string replaced by `""`.
    pub(super) lines: Vec<String>,
    /// The contents of the strings.
    pub(super) strings: Vec<String>,
}

/// How a body uses `KEYS` or `ARGV`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Use {
    /// The indices written as numbers.
    pub(super) fixed: BTreeSet<u32>,
    /// Also by a computed index, by length, or as a whole.
    pub(super) computed: bool,
}

impl Body {
    pub(super) fn read(lines: &[&str]) -> Self {
        let mut body = Self { lines: Vec::new(), strings: Vec::new() };
        for line in lines {
            let mut code = String::new();
            let mut rest = *line;
            while let Some(at) = rest.find(['"', '\'', '-']) {
                code.push_str(&rest[..at]);
                let quote = &rest[at..=at];
                rest = &rest[at + 1..];
                if quote == "-" {
                    if rest.starts_with('-') {
                        rest = "";
                    } else {
                        code.push('-');
                    }
                } else {
                    let end = closing(rest, quote);
                    body.strings.push(rest[..end].to_owned());
                    code.push_str("\"\"");
                    rest = rest.get(end + 1..).unwrap_or_default();
                }
            }
            code.push_str(rest);
            if !code.trim().is_empty() {
                body.lines.push(code.trim().to_owned());
            }
        }
        body
    }

    /// How the code uses this array.
    pub(super) fn uses(&self, array: &str) -> Use {
        let mut found = Use::default();
        for line in &self.lines {
            for (at, _) in line.match_indices(array) {
                let before = line[..at].chars().next_back();
                let after = &line[at + array.len()..];
                if before.is_some_and(is_word) || after.starts_with(is_word) {
                    continue;
                }
                let index = after.trim_start().strip_prefix('[').and_then(|rest| rest.split(']').next());
                match index.and_then(|index| index.trim().parse().ok()) {
                    Some(index) => found.fixed.insert(index),
                    None => std::mem::replace(&mut found.computed, true),
                };
            }
        }
        found
    }

    /// Whether a word stands in the code or in a string.
    pub(super) fn names(&self, word: &str) -> bool {
        let words = |text: &String| text.split(|c| !is_word(c)).any(|found| found.eq_ignore_ascii_case(word));
        self.lines.iter().chain(&self.strings).any(words)
    }

    /// Whether a `return` mentions a number with a fraction, which Redis would cut off in silence.
    pub(super) fn returns_float(&self) -> bool {
        let returned = |line: &String| line.split_once("return").map(|(_, value)| value.to_owned());
        self.lines.iter().filter_map(returned).any(|value| {
            let digit = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit());
            value
                .match_indices('.')
                .any(|(at, _)| digit(value[..at].chars().next_back()) && digit(value[at + 1..].chars().next()))
        })
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Where a string ends that has just been opened.
fn closing(text: &str, quote: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        if !escaped && quote.starts_with(c) {
            return at;
        }
        escaped = !escaped && c == '\\';
    }
    text.len()
}
