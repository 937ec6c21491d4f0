//! The filter's wasm module: built from the sources beside it, in as bytes.

/// The module as every proxy loads it.
pub const MODULE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/serin_filter.wasm"));
