//! The module as a file: what it asks of its host, what it offers, how big it is.

use serin_filter_module::MODULE;
use serin_tests::wasm_host::module;
use std::collections::BTreeSet;

/// What Envoy's V8 host has under ABI 0.2.1. Each costs something, so an addition is a decision.
const IMPORTS: &[&str] = &[
    "env.proxy_define_metric",
    "env.proxy_get_buffer_bytes",
    "env.proxy_get_header_map_pairs",
    "env.proxy_get_header_map_value",
    "env.proxy_get_property",
    "env.proxy_get_shared_data",
    "env.proxy_increment_metric",
    "env.proxy_log",
    "env.proxy_record_metric",
    "env.proxy_remove_header_map_value",
    "env.proxy_replace_header_map_value",
    "env.proxy_set_property",
    "env.proxy_set_shared_data",
    "env.proxy_set_tick_period_milliseconds",
    "wasi_snapshot_preview1.clock_time_get",
];

/// A callback that is exported is called for every request, so there is none without a use.
const EXPORTS: &[&str] = &[
    "memory",
    "proxy_abi_version_0_2_1",
    "proxy_on_configure",
    "proxy_on_context_create",
    "proxy_on_log",
    "proxy_on_memory_allocate",
    "proxy_on_request_headers",
    "proxy_on_tick",
    "proxy_on_vm_start",
];

#[test]
fn imports_nothing_but_the_host_calls_it_makes() {
    let imports: BTreeSet<String> = module()
        .imports()
        .map(|import| format!("{}.{}", import.module(), import.name()))
        .collect();
    assert_eq!(imports, IMPORTS.iter().map(ToString::to_string).collect());
}

#[test]
fn exports_nothing_but_the_callbacks_it_needs() {
    let exports: BTreeSet<&str> = module().exports().map(|export| export.name()).collect();
    assert_eq!(exports, EXPORTS.iter().copied().collect());
}

#[test]
fn is_small_enough_to_be_fetched_and_compiled_by_every_proxy() {
    const MOST: usize = 384 * 1024;
    assert!(MODULE.len() < MOST, "{} bytes", MODULE.len());
}
