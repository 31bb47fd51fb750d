use http::{HeaderMap, header::HeaderName};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// Who a chain of proxies says the client is: the entry so many hops from the right, since whatever a proxy of ours did
/// not append the client may have made up.
///
/// `None` when there are fewer entries, or that one is no address.
pub(super) fn forwarded(headers: &HeaderMap, name: &HeaderName, hops: usize) -> Option<IpAddr> {
    let mut left = hops;
    let lines: Vec<_> = headers.get_all(name).into_iter().collect();
    for line in lines.into_iter().rev() {
        // What a client sent before may be no text; that is none of the trusted entries.
        let line = String::from_utf8_lossy(line.as_bytes());
        for entry in from_right(&line, ',') {
            left = left.checked_sub(1)?;
            if left == 0 {
                let node = if *name == http::header::FORWARDED { for_parameter(entry)? } else { entry.to_owned() };
                return address(&node);
            }
        }
    }
    None
}

/// The parts between separators outside of quotes, from the right, so that an open quote on the left hides none of them.
fn from_right(line: &str, separator: char) -> impl Iterator<Item = &str> {
    let mut rest = Some(line);
    std::iter::from_fn(move || {
        let text = rest?;
        let mut quoted = false;
        let at = text.char_indices().rev().find(|&(_, char)| {
            quoted ^= char == '"';
            char == separator && !quoted
        });
        rest = at.map(|(at, _)| &text[..at]);
        Some(text[at.map_or(0, |(at, _)| at + separator.len_utf8())..].trim())
    })
    .filter(|part| !part.is_empty())
}

/// The `for` of an element of `Forwarded`, as in `for="[2001:db8::1]:47011";proto=https`.
fn for_parameter(element: &str) -> Option<String> {
    let (_, value) = from_right(element, ';')
        .filter_map(|pair| pair.split_once('='))
        .find(|(name, _)| name.trim().eq_ignore_ascii_case("for"))?;
    Some(value.trim().trim_matches('"').replace('\\', ""))
}

/// An address with or without a port; IPv6 in brackets or bare.
fn address(node: &str) -> Option<IpAddr> {
    let bare = node.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(node);
    bare.parse().ok().or_else(|| Some(node.parse::<SocketAddr>().ok()?.ip()))
}

/// One id for all addresses that one client can choose from: an IPv6 network, and an IPv4 address however it is written.
pub(super) fn id(address: IpAddr, ipv6_prefix: u8) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(ipv6_prefix.min(128))).unwrap_or(0);
            format!("{}/{ipv6_prefix}", Ipv6Addr::from(u128::from(address) & mask))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderValue, header::FORWARDED};

    fn client(name: &'static str, lines: &[&[u8]], hops: usize) -> Option<String> {
        let name = HeaderName::from_static(name);
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(&name, HeaderValue::from_bytes(line).unwrap());
        }
        forwarded(&headers, &name, hops).map(|address| id(address, 64))
    }

    #[test]
    fn hops_count_from_the_right_over_all_lines() {
        let xff = |lines: &[&[u8]], hops| client("x-forwarded-for", lines, hops);
        let one: &[&[u8]] = &[b"6.6.6.6, 203.0.113.9,10.0.0.1"];
        assert_eq!(xff(one, 1).unwrap(), "10.0.0.1");
        assert_eq!(xff(one, 2).unwrap(), "203.0.113.9");
        assert_eq!(xff(one, 4), None, "fewer entries than proxies: the request came around one");
        let lines: &[&[u8]] = &[b"6.6.6.6", b"203.0.113.9:4711", b"10.0.0.1"];
        assert_eq!(xff(lines, 1).unwrap(), "10.0.0.1");
        assert_eq!(xff(lines, 2).unwrap(), "203.0.113.9");
        assert_eq!(xff(&[], 1), None);
        for invented in [&b"\xff\xfe"[..], b"\"", b"for=\"x", b",,", b"unknown"] {
            let line = [invented, b", 203.0.113.9"].concat();
            assert_eq!(xff(&[&line], 1).unwrap(), "203.0.113.9");
        }
        assert_eq!(xff(&[b"203.0.113.9, unknown"], 1), None);
        assert_eq!(xff(&[b"203.0.113.9, "], 1).unwrap(), "203.0.113.9");
    }

    #[test]
    fn forwarded_is_read_as_rfc_7239_writes_it() {
        let name = FORWARDED.as_str();
        assert_eq!(name, "forwarded");
        let read = |line: &str, hops| client("forwarded", &[line.as_bytes()], hops);
        assert_eq!(read("for=192.0.2.60;proto=http;by=203.0.113.43", 1).unwrap(), "192.0.2.60");
        assert_eq!(read("For=\"[2001:db8:cafe::17]:4711\"", 1).unwrap(), "2001:db8:cafe::/64");
        assert_eq!(read("for=192.0.2.43, for=198.51.100.17", 2).unwrap(), "192.0.2.43");
        assert_eq!(read("for=\"a, for=6.6.6.6, for=198.51.100.17;host=\"a,b;c\"", 1).unwrap(), "198.51.100.17");
        assert_eq!(read("for=_hidden", 1), None);
        assert_eq!(read("proto=https", 1), None);
        assert_eq!(read("for=", 1), None);
    }

    #[test]
    fn an_ipv6_client_is_its_network() {
        let of = |text: &str, prefix| id(text.parse().unwrap(), prefix);
        assert_eq!(of("2001:db8:1:2:3:4:5:6", 64), "2001:db8:1:2::/64");
        assert_eq!(of("2001:db8:1:2:ffff::", 64), "2001:db8:1:2::/64");
        assert_eq!(of("2001:db8:1:2:3:4:5:6", 56), "2001:db8:1::/56");
        assert_eq!(of("2001:db8::1", 128), "2001:db8::1/128");
        assert_eq!(of("::ffff:192.0.2.1", 64), "192.0.2.1", "a listener on both families sees IPv4 like this");
    }
}
