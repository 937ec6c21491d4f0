//! What the tests run the parts of Serin in: the module in a fake host, the rest in real processes.

pub mod wasm_host;

pub mod api_server;
pub mod client;
pub mod cluster;
pub mod envoy;
pub mod load;
pub mod local;
pub mod manifest;
pub mod trap;
