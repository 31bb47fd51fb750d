//! The comment a script begins with.

/// A documented `KEYS` or `ARGV`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Slot {
    pub(super) array: String,
    pub(super) index: u32,
    /// `ARGV[3..]`: this one and all that follow.
    pub(super) open: bool,
}

/// What the header documents, and what is wrong with its form.
#[derive(Debug, Default)]
pub(super) struct Header {
    pub(super) slots: Vec<Slot>,
    pub(super) problems: Vec<String>,
}

/// Reads `sentence.`, an empty line, `KEYS[n]  meaning`, `ARGV[n]  meaning`, an empty line, `Returns  meaning`.
pub(super) fn read(lines: &[&str]) -> Header {
    let mut header = Header::default();
    let mut lines = lines.iter().map(|line| line.trim_start_matches('-').trim_end());
    let sentence: Vec<&str> = lines.by_ref().map(str::trim).take_while(|line| !line.is_empty()).collect();
    if !is_sentence(&sentence.join(" ")) {
        header.problems.push("the header begins with one sentence that ends in a full stop".into());
    }
    let mut returns = false;
    for line in lines {
        let text = line.trim_start();
        // A line that is indented further continues the meaning above it.
        if text.is_empty() || (line.starts_with("   ") && !header.slots.is_empty()) {
            continue;
        }
        if returns {
            header.problems.push(format!("`Returns` closes the header, not {text:?}"));
        }
        let (subject, meaning) = text.split_once("  ").unwrap_or((text, ""));
        if meaning.trim().is_empty() {
            header.problems.push(format!("{subject:?} needs two spaces and a meaning"));
        }
        match slot(subject) {
            Some(slot) => header.slots.push(slot),
            None if subject == "Returns" => returns = true,
            None => header.problems.push(format!("neither KEYS[n], ARGV[n] nor Returns: {text:?}")),
        }
    }
    if !returns {
        header.problems.push("the header has no `Returns` line".into());
    }
    header.problems.extend(order(&header.slots));
    header
}

/// Keys before arguments, each counted from 1 without a gap, an open one at the end.
fn order(slots: &[Slot]) -> Option<String> {
    let keys = slots.iter().filter(|slot| slot.array == "KEYS").count();
    for (at, slot) in slots.iter().enumerate() {
        let (array, first) = if at < keys { ("KEYS", 0) } else { ("ARGV", keys) };
        let last = at + 1 == slots.len() || at + 1 == keys;
        if slot.array != array || slot.index as usize != at - first + 1 || (slot.open && !last) {
            return Some("KEYS come before ARGV, each counted from 1 without a gap".into());
        }
    }
    None
}

fn is_sentence(text: &str) -> bool {
    let next = |at: usize| text[at + 2..].chars().next().is_some_and(char::is_uppercase);
    text.len() > 1 && text.ends_with('.') && !text.match_indices(". ").any(|(at, _)| next(at))
}

fn slot(subject: &str) -> Option<Slot> {
    let (array, index) = subject.strip_suffix(']')?.split_once('[')?;
    let (index, open) = index.strip_suffix("..").map_or((index, false), |index| (index, true));
    let known = array == "KEYS" || array == "ARGV";
    known.then_some(Slot { array: array.into(), index: index.parse().ok()?, open })
}
