//! The filter by ECDS: a listener's filter that never changes again, and what Envoy is to load for
//! it now. In comes a [`FilterConfig`], out goes Envoy's JSON; both worlds render through here.

use serde_json::{Value, json};
use serin_core::wire::FilterConfig;

const WASM: &str = "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm";

/// Role-based access control without rules lets every request through, natively.
const LETS_THROUGH: &str = "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC";

/// The listener's filter, which asks `source` for the extension of this name. Until there is one,
/// or if there is none that works, every request is let through.
pub fn filter(name: &str, source: &Value) -> Value {
    json!({
        "name": name,
        "config_discovery": {
            "config_source": source,
            "default_config": {"@type": LETS_THROUGH},
            "apply_default_config_without_warming": true,
            "type_urls": [WASM, LETS_THROUGH],
        },
    })
}

/// The extension that carries out `config`, with the module at `code`, an `AsyncDataSource`.
///
/// Where `config` asks for nothing there is no module either: a VM that does nothing costs a
/// request several hundredths of its CPU time and each thread some megabytes. What a VM
/// counted since its last tick ends with it, so a configuration should be at rest for a few ticks
/// before it is rendered as one that asks for nothing.
pub fn extension(config: &FilterConfig, code: &Value) -> Value {
    json!({
        "@type": "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig",
        "name": config.name,
        "typed_config": typed_config(config, code),
    })
}

/// The filter in that extension.
pub fn typed_config(config: &FilterConfig, code: &Value) -> Value {
    match config.is_idle() {
        true => json!({"@type": LETS_THROUGH}),
        false => module(config, code),
    }
}

fn module(config: &FilterConfig, code: &Value) -> Value {
    let text = serde_json::to_string(config).unwrap_or_default();
    json!({
        "@type": WASM,
        "config": {
            "name": "serin",
            "root_id": "serin",
            "failure_policy": "FAIL_OPEN",
            "vm_config": {
                // One VM per worker for all instances, so the module is compiled once.
                "vm_id": "serin",
                "runtime": "envoy.wasm.runtime.v8",
                "code": code,
            },
            "configuration": {
                "@type": "type.googleapis.com/google.protobuf.StringValue",
                "value": text,
            },
        },
    })
}
