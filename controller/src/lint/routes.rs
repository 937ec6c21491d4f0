//! VirtualServices of the user's that do not follow the filter's header.

use serin_core::plan::Router;

use super::Finding;
use super::files::Files;
use crate::mesh::routes;

pub(super) fn check(files: &Files) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (_, plan) in files.filtered() {
        let Router::Wasm(router) = &plan.router else {
            continue;
        };
        for named in &router.virtual_services {
            let namespace = named.namespace.as_ref().unwrap_or(&plan.namespace);
            let Some(object) = files.find("VirtualService", namespace, &named.name) else {
                continue;
            };
            let mut value = object.value.clone();
            value["metadata"]["namespace"] = namespace.as_str().into();
            let trouble = routes::trouble(&value, plan);
            // Each names the object, as the finding does.
            let prefix = format!("VirtualService {namespace}/{}: ", named.name);
            findings.extend(
                trouble
                    .iter()
                    .map(|text| object.error(text.strip_prefix(&prefix).unwrap_or(text))),
            );
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::{shop, told};

    #[test]
    fn a_route_that_does_not_follow_the_header_is_told() {
        let routing = json!({"plugins": {"serin/wasm": {"virtualService": {"name": "shop"}}}});
        let routes = json!({
            "apiVersion": "networking.istio.io/v1", "kind": "VirtualService",
            "metadata": {"name": "shop", "namespace": "web"},
            "spec": {"hosts": ["shop"], "http": [{"route": [{"destination": {"host": "shop"}}]}]},
        });
        let found = told(&format!("{}{routes}", shop(&routing)));
        let [only] = &found[..] else {
            panic!("{found:#?}")
        };
        let told = "error: all.yaml document 4: VirtualService web/shop: spec.http[0] sends \
                    requests to the stable Service, and no route before it takes those";
        assert!(only.starts_with(told), "{only}");
    }
}
