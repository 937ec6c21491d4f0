//! Whether a cluster is asked through the proxy that the environment names. kube holds NO_PROXY
//! against the proxy; kubectl, as users know it, holds it against the cluster.

use std::net::IpAddr;

/// Whether `host` is asked directly although a proxy is named: a machine speaks to itself without
/// one, and to whatever NO_PROXY lists: names, domains, addresses, networks, or `*` for all.
pub(super) fn is_direct(host: &str, no_proxy: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let address: Option<IpAddr> = host.parse().ok();
    if host == "localhost" || address.is_some_and(|address| address.is_loopback()) {
        return true;
    }
    let entries = no_proxy.split(',').map(str::trim);
    entries
        .filter(|entry| !entry.is_empty())
        .any(|entry| covers(entry, host, address))
}

fn covers(entry: &str, host: &str, address: Option<IpAddr>) -> bool {
    if entry == "*" {
        return true;
    }
    if let Some(address) = address {
        return match entry.split_once('/') {
            Some((network, length)) => is_within(address, network, length).unwrap_or(false),
            None => entry.parse() == Ok(address),
        };
    }
    let (entry, host) = (entry.to_ascii_lowercase(), host.to_ascii_lowercase());
    let domain = entry.trim_start_matches("*.").trim_start_matches('.');
    let below = host
        .strip_suffix(domain)
        .is_some_and(|rest| rest.ends_with('.'));
    // A domain with a dot before it is what is below it alone.
    below || (host == domain && domain == entry)
}

fn is_within(address: IpAddr, network: &str, length: &str) -> Option<bool> {
    let length: u32 = length.parse().ok()?;
    let (address, network, bits) = match (address, network.parse().ok()?) {
        (IpAddr::V4(address), IpAddr::V4(network)) => (
            u32::from(address).into(),
            u32::from(network).into(),
            u32::BITS,
        ),
        (IpAddr::V6(address), IpAddr::V6(network)) => {
            (u128::from(address), u128::from(network), u128::BITS)
        }
        _ => return Some(false),
    };
    let ignored = bits.checked_sub(length)?;
    let kept = |address: u128| address.checked_shr(ignored).unwrap_or(0);
    Some(kept(address) == kept(network))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_is_asked_directly_where_no_proxy_covers_it() {
        for (host, no_proxy, expected) in [
            ("127.0.0.1", "", true),
            ("localhost", "", true),
            ("[::1]", "", true),
            ("10.1.2.3", "", false),
            ("10.1.2.3", "10.1.2.3", true),
            ("10.1.2.3", "example.com, 10.0.0.0/8", true),
            ("11.1.2.3", "10.0.0.0/8", false),
            ("10.1.2.3", "0.0.0.0/0", true),
            ("10.1.2.3", "10.0.0.0/33,10.0.0.0/x,fd00::/8", false),
            ("[fd00::1]", "fd00::/8", true),
            ("api.example.com", "example.com", true),
            ("api.example.com", ".example.com", true),
            ("api.example.com", "*.Example.com", true),
            ("example.com", "example.com", true),
            ("example.com", ".example.com", false),
            ("badexample.com", "example.com", false),
            ("api.example.com", "*", true),
            ("api.example.com", "10.0.0.0/8", false),
        ] {
            assert_eq!(is_direct(host, no_proxy), expected, "{host} {no_proxy}");
        }
    }
}
