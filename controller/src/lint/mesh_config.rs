//! The mesh's configuration, by which proxies take the labels out of the filter's counters.

use serde_json::Value;
use serin_core::metric::OWN_LABELS;

use super::Finding;
use super::files::{Files, Object};

pub(super) fn check(files: &Files) -> Vec<Finding> {
    // Rollouts that all have other routers leave nothing to count.
    if !files.rollouts.is_empty() && files.filtered().next().is_none() {
        return Vec::new();
    }
    let configs = files.of_kind("ConfigMap").filter(|object| is_mesh(object));
    configs.filter_map(lacks).collect()
}

/// Whether it is Istio's: `istio`, or `istio-<revision>`.
fn is_mesh(object: &Object) -> bool {
    let name = object.name();
    (name == "istio" || name.starts_with("istio-")) && object.value["data"]["mesh"].is_string()
}

fn lacks(config: &Object) -> Option<Finding> {
    let text = config.value["data"]["mesh"].as_str()?;
    let mesh: Value = match serde_norway::from_str(text) {
        Ok(mesh) => mesh,
        Err(error) => return Some(config.error(format_args!("data.mesh: {error}"))),
    };
    let tags = mesh["defaultConfig"]["extraStatTags"].as_array();
    let tags: Vec<&str> = tags
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let lacking = OWN_LABELS.iter().filter(|label| !tags.contains(label));
    let lacking: Vec<&str> = lacking.copied().collect();
    if lacking.is_empty() {
        return None;
    }
    let all = [&tags[..], &lacking].concat();
    Some(config.error(format_args!(
        "data.mesh: defaultConfig.extraStatTags lacks {}: these labels of the filter's metrics stay a \
         part of their names, so no query finds them, and no weight is ever seen to be in force, \
         expected\n    defaultConfig:\n      extraStatTags: [{}]\n  (proxies read it when they start: \
         restart their pods)",
        lacking.join(", "),
        all.join(", ")
    )))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::{filtered, shop, told};

    fn mesh(text: &str) -> String {
        let object = json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "istio", "namespace": "istio-system"}, "data": {"mesh": text},
        });
        object.to_string()
    }

    #[test]
    fn labels_that_proxies_do_not_take_out_are_told_with_what_to_add() {
        let found = told(&mesh(
            "defaultConfig:\n  extraStatTags: [mine, rollout, namespace, variant, revision, le]\n",
        ));
        let [only] = &found[..] else {
            panic!("{found:#?}")
        };
        let told = "error: all.yaml document 1: ConfigMap istio-system/istio: data.mesh: \
                    defaultConfig.extraStatTags lacks config, reporter, response_code: these";
        assert!(only.starts_with(told), "{only}");
        let add = "\n    defaultConfig:\n      extraStatTags: [mine, rollout, namespace, variant, \
                   revision, le, config, reporter, response_code]\n";
        assert!(only.contains(add), "{only}");
        assert_eq!(told_of_all().len(), 0);
    }

    fn told_of_all() -> Vec<String> {
        let tags = serin_core::metric::LABELS.join(", ");
        told(&mesh(&format!(
            "defaultConfig: {{extraStatTags: [{tags}]}}"
        )))
    }

    #[test]
    fn it_matters_where_the_filter_routes() {
        let of = |routing: &Value| told(&format!("{}{}", shop(routing), mesh("rootNamespace: a")));
        let found = of(&filtered());
        assert!(found.iter().any(|told| told.contains("extraStatTags")));
        let istio = json!({"istio": {"virtualService": {"name": "shop"}}});
        let found = of(&istio);
        assert!(!found.iter().any(|told| told.contains("extraStatTags")));
    }

    #[test]
    fn what_is_no_yaml_is_told() {
        let found = told(&mesh("a: {"));
        assert!(
            found[0].contains("ConfigMap istio-system/istio: data.mesh: "),
            "{found:#?}"
        );
    }
}
