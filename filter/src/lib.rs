//! The proxy-wasm filter: callbacks in, core asked, headers and counters out.
//!
//! A trap would end every request of its worker, so nothing here can panic: values are bytes, no
//! answer of the host is trusted, and a host call that fails is counted and means stable.

mod abi;
mod counts;
mod host;
mod label;
mod pairs;
mod root;
mod shown;
mod streams;
mod tags;
mod threads;
mod vm;
