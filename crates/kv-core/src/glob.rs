/// Whether a text matches a pattern, byte by byte and exactly as Redis' `stringmatchlen` has it.
///
/// Only the last star is ever tried again: an earlier one that took more would leave the later ones less to choose from. The time is
/// the product of the two lengths at worst.
pub(crate) fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut pattern, mut text) = (pattern, text);
    // What follows the last star, and the text from where it was tried.
    let mut star = None;
    loop {
        if let [b'*', rest @ ..] = pattern {
            (pattern, star) = (rest, Some((rest, text)));
            continue;
        }
        let [byte, after @ ..] = text else { return pattern.is_empty() };
        if let Some(rest) = element(pattern, *byte) {
            (pattern, text) = (rest, after);
            continue;
        }
        let Some((rest, [_, shorter @ ..])) = star else { return false };
        (pattern, text, star) = (rest, shorter, Some((rest, shorter)));
    }
}

/// What is left of a pattern whose first element, other than a star, matches this byte.
fn element(pattern: &[u8], byte: u8) -> Option<&[u8]> {
    match pattern {
        [] => None,
        [b'?', rest @ ..] => Some(rest),
        [b'[', rest @ ..] => class(rest, byte),
        [b'\\', literal, rest @ ..] | [literal, rest @ ..] => (*literal == byte).then_some(rest),
    }
}

/// The same after a `[`. A class that does not end takes all there is.
fn class(pattern: &[u8], byte: u8) -> Option<&[u8]> {
    let (negated, mut pattern) = pattern.strip_prefix(b"^").map_or((false, pattern), |rest| (true, rest));
    let mut found = false;
    loop {
        pattern = match pattern {
            [] | [b']', ..] => return (found != negated).then_some(pattern.get(1..).unwrap_or_default()),
            [b'\\', literal, rest @ ..] => {
                found |= *literal == byte;
                rest
            }
            // The end of a range may be any byte, a bracket or a backslash too.
            [one, b'-', other, rest @ ..] => {
                let (one, other, byte) = (signed(*one), signed(*other), signed(byte));
                found |= (one.min(other)..=one.max(other)).contains(&byte);
                rest
            }
            [literal, rest @ ..] => {
                found |= *literal == byte;
                rest
            }
        }
    }
}

/// The byte as a server on such a machine compares it: whether C's `char` has a sign is up to the machine.
fn signed(byte: u8) -> std::ffi::c_char {
    std::ffi::c_char::from_ne_bytes([byte])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_element_means_what_redis_says() {
        let matching = [
            ("*", "x"),
            ("n?ws.*", "news.uk"),
            ("[abc]x", "bx"),
            ("[^a]x", "bx"),
            ("[a-c]", "b"),
            ("[c-a]", "b"),
            ("[[-a]", "^"),
            (r"\*", "*"),
            (r"[\]]", "]"),
            ("\\", "\\"),
            ("[ab", "b"),
            ("[^", "x"),
            ("a**", "a"),
            ("*a*b*", "xaxbx"),
        ];
        for (pattern, text) in matching {
            assert!(matches(pattern.as_bytes(), text.as_bytes()), "{pattern} {text}");
        }
        let others =
            [("a", "ab"), ("a?", "a"), ("[^a]", "a"), ("[a-c]", "d"), (r"\*", "x"), ("[", "["), ("[]", "]"), ("", "a")];
        for (pattern, text) in others {
            assert!(!matches(pattern.as_bytes(), text.as_bytes()), "{pattern} {text}");
        }
    }

    #[test]
    fn many_stars_take_no_longer_than_the_product_of_the_lengths() {
        let (pattern, text) = ("a*".repeat(500) + "b", "a".repeat(5_000));
        assert!(!matches(pattern.as_bytes(), text.as_bytes()));
        assert!(matches(pattern.as_bytes(), (text + "b").as_bytes()));
    }
}
