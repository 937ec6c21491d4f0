//! Where a service of AWS is: its name and a region in, its URL out.

use reqwest::Url;

use crate::provider::exchange;

/// The URL of `service` in a region, or `address` where one is given. Requests are signed for the
/// path `/`, so an address may have no other.
pub(super) fn url(service: &str, region: &str, address: Option<&str>) -> Result<Url, String> {
    let part = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if region.is_empty() || !region.chars().all(part) {
        return Err(format!(
            "region {region:?} is not one, expected such as \"eu-central-1\""
        ));
    }
    let url = match address {
        Some(address) => exchange::url(address)?,
        None => {
            let domain = domain(region);
            exchange::url(&format!("https://{service}.{region}.{domain}"))?
        }
    };
    let plain = url.path() == "/" && url.query().is_none() && url.username().is_empty();
    if !plain {
        return Err(format!(
            "address of {service} has more than a host, expected such as \"https://vpce-0.{service}.{region}.vpce.amazonaws.com\""
        ));
    }
    Ok(url)
}

/// China has its own; other partitions that do need an address.
fn domain(region: &str) -> &'static str {
    if region.starts_with("cn-") {
        "amazonaws.com.cn"
    } else {
        "amazonaws.com"
    }
}

/// The host as the header `host` has it.
pub(super) fn host(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(region: &str, address: Option<&str>) -> Result<String, String> {
        url("monitoring", region, address).map(|url| url.to_string())
    }

    #[test]
    fn the_region_says_where_unless_an_address_does() {
        let url = |region| at(region, None).unwrap();
        assert_eq!(
            url("eu-west-1"),
            "https://monitoring.eu-west-1.amazonaws.com/"
        );
        assert_eq!(
            url("cn-north-1"),
            "https://monitoring.cn-north-1.amazonaws.com.cn/"
        );
        let own = at("eu-west-1", Some("http://localhost:4566/"));
        assert_eq!(own.unwrap(), "http://localhost:4566/");
    }

    #[test]
    fn what_is_no_host_is_refused() {
        assert!(
            at("eu-west-1/x", None)
                .unwrap_err()
                .contains("expected such as")
        );
        let path = at("eu-west-1", Some("https://h/monitoring?a"));
        assert!(path.unwrap_err().contains("has more than a host"));
    }
}
