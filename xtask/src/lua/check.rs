//! The rules a script keeps.

use super::body::Body;
use super::header;

const LONGEST: usize = 60;

/// Everything that is wrong with a script.
pub(super) fn problems(text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().collect();
    let (head, rest) = lines.split_at(lines.iter().take_while(|line| line.starts_with("--")).count());
    let header = header::read(head);
    let body = Body::read(rest);
    let mut problems = header.problems;
    for array in ["KEYS", "ARGV"] {
        let used = body.uses(array);
        let documented = || header.slots.iter().filter(|slot| slot.array == array);
        let open = documented().find(|slot| slot.open).map(|slot| slot.index);
        for slot in documented().filter(|slot| !slot.open && !used.fixed.contains(&slot.index)) {
            problems.push(format!("{array}[{}] is documented, but the body never uses it", slot.index));
        }
        let covered =
            |index: u32| documented().any(|slot| slot.index == index) || open.is_some_and(|open| index > open);
        for index in used.fixed.iter().filter(|&&index| !covered(index)) {
            problems.push(format!("{array}[{index}] is used, but not documented"));
        }
        match open {
            None if used.computed => {
                problems.push(format!("{array} is used as a whole or by a computed index: document {array}[n..]"));
            }
            Some(open) if !used.computed => {
                problems.push(format!("{array}[{open}..] is documented, but the body uses no computed index"));
            }
            _ => {}
        }
    }
    if body.lines.len() > LONGEST {
        problems.push(format!("{} lines of code: {LONGEST} are enough for one operation", body.lines.len()));
    }
    if body.returns_float() {
        problems.push("returns a number with a fraction, which Redis cuts off".into());
    }
    for word in ["EVAL", "EVALSHA", "loadstring"] {
        if body.names(word) {
            problems.push(format!("uses {word}: no code from data"));
        }
    }
    problems
}

/// Whether a Rust source includes this file of the crate's `lua` folder.
pub(super) fn includes(source: &str, file: &str) -> bool {
    let mut paths = source.split("include_str!(").skip(1).filter_map(|rest| rest.trim_start().strip_prefix('"'));
    paths.any(|rest| rest.split('"').next().is_some_and(|path| path.ends_with(&format!("lua/{file}"))))
}

#[cfg(test)]
mod tests {
    use super::{LONGEST, includes, problems};

    const GOOD: &str = r#"-- Take the lock if nobody holds it, and hand out the next token.
--
-- KEYS[1]  the lock: holds the owner's token while it is held
-- ARGV[1]  the owner's token
-- ARGV[2]  lease, milliseconds;
--          the server's clock counts it
--
-- Returns  the fencing token (integer > 0), or 0 if someone else holds the lock
if not redis.call("SET", KEYS[1], ARGV[1], "NX", "PX", ARGV[2]) then
  -- ARGV[9] in a comment is no use, nor is "EVAL".
  return 0 - 1
end
return redis.call('INCR', "not KEYS[2], nor \"KEYS[3]\"")
"#;

    /// One change to the good script has exactly one problem, which says this.
    fn refused(from: &str, to: &str, problem: &str) {
        assert!(GOOD.contains(from), "{from}");
        let found = problems(&GOOD.replace(from, to));
        assert!(found.len() == 1 && found[0].contains(problem), "{from} -> {to}: {found:?}");
    }

    #[test]
    fn a_good_script_passes() {
        assert_eq!(problems(GOOD), [""; 0]);
    }

    #[test]
    fn the_form_of_the_header_is_checked() {
        refused("next token.", "next token", "one sentence");
        refused("holds it, and", "holds it. And", "one sentence");
        refused("-- Returns  the fencing token (integer > 0), or 0 if someone else holds the lock\n", "", "`Returns`");
        refused("-- KEYS[1]  the lock: holds the owner's token while it is held", "-- KEYS[1]", "a meaning");
        refused("-- ARGV[1]  the", "-- Input  x\n-- ARGV[1]  the", "neither KEYS[n]");
        refused("-- Returns  the", "-- Returns  1\n-- Returns  the", "closes the header");
        refused("-- KEYS[1]  the lock: holds", "-- KEYS[1..]  the lock: holds", "no computed index");
    }

    #[test]
    fn header_and_body_name_the_same_slots() {
        refused("\"NX\", \"PX\", ARGV[2])", "\"NX\", \"PX\", 1)", "ARGV[2] is documented");
        refused("\"PX\", ARGV[2])", "\"PX\", ARGV[2], ARGV[3])", "ARGV[3] is used");
        refused("\"PX\", ARGV[2])", "\"PX\", ARGV[2], #ARGV)", "document ARGV[n..]");
        refused("\"PX\", ARGV[2])", "\"PX\", ARGV[2], KEYS[ i ])", "document KEYS[n..]");
        refused("\"PX\", ARGV[2])", "\"PX\", ARGV[2], unpack(ARGV, 3))", "document ARGV[n..]");
        let swapped = GOOD.replace("-- ARGV[1] ", "-- ARGV[0] ");
        assert!(problems(&swapped).iter().any(|problem| problem.contains("counted from 1")));
    }

    #[test]
    fn an_open_slot_stands_for_those_that_follow() {
        let open = GOOD.replace("-- ARGV[2]  lease", "-- ARGV[2..]  lease");
        assert_eq!(problems(&open.replace("ARGV[2])", "ARGV[2], unpack(ARGV, 3))")), [""; 0]);
        assert_eq!(problems(&open.replace("ARGV[2])", "ARGV[4], ARGV[1 + i])")), [""; 0]);
    }

    #[test]
    fn the_body_is_checked() {
        refused("  return 0 - 1", &"  local a = 1\n".repeat(LONGEST + 1), "lines of code");
        refused("return 0 - 1", "return 0.5", "fraction");
        refused("return 0 - 1", "return {1, 2.0}", "fraction");
        refused("'INCR'", "'eval'", "EVAL");
        refused("return 0 - 1", "return loadstring(x)", "loadstring");
    }

    #[test]
    fn an_included_file_is_found_in_the_source() {
        let source = "const A: Script = Script::new(\"a\", include_str!(\n  \"../lua/acquire.lua\"), acquire);";
        assert!(includes(source, "acquire.lua"));
        assert!(!includes(source, "release.lua"));
        assert!(!includes("// ../lua/release.lua", "release.lua"));
    }
}
