//! The filter's wasm module: built from the sources beside it, in as bytes.

/// The module as every proxy loads it.
pub const MODULE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/serin_filter.wasm"));

/// Its SHA-256 in lower-case hexadecimal digits: what proxies check before they run it.
pub const SHA256: &str = env!("SERIN_FILTER_SHA256");
