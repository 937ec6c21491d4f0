//! The names that a Service has, where a configuration gives the Service alone: rules come in, the
//! same rules with all their hosts go out.

use super::Rule;
use std::collections::HashSet;

/// Every name that DNS in a cluster has for a Service. The first is for its own namespace alone.
pub fn dns_forms(service: &str, namespace: &str) -> [String; 4] {
    let long = format!("{service}.{namespace}");
    [
        service.to_string(),
        long.clone(),
        format!("{long}.svc"),
        format!("{long}.svc.cluster.local"),
    ]
}

/// The rules with the hosts that a caller in `namespace` has for them. There a Service's name alone
/// comes before the same host of anybody else, as it does in DNS.
pub(super) fn spelled_out(rules: &mut [Rule], namespace: &str) {
    let own: HashSet<String> = rules
        .iter()
        .filter(|rule| rule.namespace == namespace)
        .flat_map(|rule| rule.names.iter().cloned())
        .collect();
    for rule in rules {
        let mut hosts = Vec::new();
        for name in std::mem::take(&mut rule.names) {
            let [short, long @ ..] = dns_forms(&name, &rule.namespace);
            hosts.extend((rule.namespace == namespace).then_some(short));
            hosts.extend(long);
        }
        let listed = std::mem::take(&mut rule.hosts).into_iter();
        hosts.extend(listed.filter(|host| !own.contains(host)));
        rule.hosts = hosts;
    }
}
