//! Who listens on this machine, as the kernel says it.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The addresses on which something listens on `port`, those of IPv4 as such.
pub(super) fn on(port: u16) -> Vec<IpAddr> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"];
    // Without IPv6 there is no second table.
    let texts = tables.map(|table| fs::read_to_string(table).unwrap_or_default());
    texts
        .iter()
        .flat_map(|text| text.lines())
        .filter_map(listener)
        .filter(|(_, known)| *known == port)
        .map(|(address, _)| address.to_canonical())
        .collect()
}

/// Reads `0: 0100007F:1F90 00000000:0000 0A …`, where 0A is a listener and each group of eight
/// digits is a word in the machine's byte order.
fn listener(line: &str) -> Option<(IpAddr, u16)> {
    const LISTEN: &str = "0A";
    let mut columns = line.split_whitespace().skip(1);
    let (address, port) = columns.next()?.split_once(':')?;
    if columns.nth(1)? != LISTEN {
        return None;
    }
    let mut bytes = [0; 16];
    for (i, word) in bytes.chunks_mut(4).enumerate().take(address.len() / 8) {
        let digits = address.get(8 * i..8 * i + 8)?;
        word.copy_from_slice(&u32::from_str_radix(digits, 16).ok()?.to_ne_bytes());
    }
    let [a, b, c, d, ..] = bytes;
    let address = match address.len() {
        8 => IpAddr::V4(Ipv4Addr::new(a, b, c, d)),
        32 => IpAddr::V6(Ipv6Addr::from(bytes)),
        _ => return None,
    };
    Some((address, u16::from_str_radix(port, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn a_listener_is_found_by_its_port_with_its_address() {
        let at: IpAddr = "127.231.2.3".parse().unwrap();
        let listener = TcpListener::bind((at, 0)).unwrap();
        assert_eq!(on(listener.local_addr().unwrap().port()), [at]);
    }

    #[cfg(target_endian = "little")]
    #[test]
    fn an_ipv4_address_written_as_ipv6_is_read() {
        let line = "0: 0000000000000000FFFF00000101107F:1F90 \
                    00000000000000000000000000000000:0000 0A 00000000:00000000";
        let (address, port) = listener(line).unwrap();
        assert_eq!(address.to_canonical().to_string(), "127.16.1.1");
        assert_eq!(port, 8080);
    }

    #[test]
    fn a_connection_is_no_listener() {
        assert_eq!(listener("1: 0100007F:1F90 0100007F:9C40 01 0"), None);
    }
}
