/// Whether a name matches a pattern, as Redis has it: `*`, `?`, `[a-c]`, `[^a]`, and a backslash before what stands for itself.
///
/// Byte by byte, and in no more than the product of the lengths: only the last `*` is ever tried again.
pub(crate) fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut at, mut read) = (0, 0);
    // Where to go on after the last star, and how much of the name it has swallowed.
    let mut star: Option<(usize, usize)> = None;
    loop {
        let rest = pattern.get(at..).unwrap_or_default();
        match (rest.first(), name.get(read)) {
            (Some(b'*'), _) => {
                star = Some((at + 1, read));
                at += 1;
                continue;
            }
            (None, None) => return true,
            (Some(_), Some(&byte)) => {
                let (length, fits) = one(rest, byte);
                if fits {
                    at += length;
                    read += 1;
                    continue;
                }
            }
            (Some(_), None) => return false,
            (None, Some(_)) => {}
        }
        let Some((after, swallowed)) = star else { return false };
        star = Some((after, swallowed + 1));
        (at, read) = (after, swallowed + 1);
    }
}

/// How long the first element of a pattern is, and whether a byte fits it.
fn one(pattern: &[u8], byte: u8) -> (usize, bool) {
    match pattern {
        [b'?', ..] => (1, true),
        [b'[', class @ ..] => {
            let (length, fits) = in_class(class, byte);
            (length + 1, fits)
        }
        [b'\\', escaped, ..] => (2, *escaped == byte),
        [same, ..] => (1, *same == byte),
        [] => (0, false),
    }
}

/// The same for a class, after its bracket. One that does not end ends with the pattern.
fn in_class(class: &[u8], byte: u8) -> (usize, bool) {
    let negated = class.first() == Some(&b'^');
    let mut at = usize::from(negated);
    let mut found = false;
    loop {
        match class.get(at..).unwrap_or_default() {
            [b'\\', escaped, ..] => {
                found |= *escaped == byte;
                at += 2;
            }
            [b']', ..] => return (at + 1, found != negated),
            [] => return (at, found != negated),
            [first, b'-', last, ..] => {
                found |= (*first.min(last)..=*first.max(last)).contains(&byte);
                at += 3;
            }
            [same, ..] => {
                found |= *same == byte;
                at += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns_match_as_redis_documents_them() {
        let yes = [
            "h?llo hello",
            "h*llo hllo",
            "h*llo heeeello",
            "h[ae]llo hallo",
            "h[^e]llo hbllo",
            "h[a-b]llo hbllo",
            "h[b-a]llo hallo",
        ];
        let no = [
            "h?llo hllo",
            "h[ae]llo hillo",
            "h[^e]llo hello",
            "h[a-b]llo hcllo",
            "hello helloo",
            "h\\*llo hello",
            "a*b ac",
        ];
        let all = yes.iter().map(|case| (case, true)).chain(no.iter().map(|case| (case, false)));
        for (case, expected) in all {
            let (pattern, name) = case.split_once(' ').unwrap();
            assert_eq!(matches(pattern.as_bytes(), name.as_bytes()), expected, "{case}");
        }
        assert!(matches(b"*", b"") && matches(b"\\", b"\\") && matches(b"[a", b"a") && !matches(b"", b"a"));
    }

    #[test]
    fn many_stars_are_no_trouble() {
        let (pattern, name) = ("a*".repeat(50) + "b", "a".repeat(5_000));
        assert!(!matches(pattern.as_bytes(), name.as_bytes()));
    }
}
