//! The module that ships, run in a fake host.

mod agrees;
mod counts;
mod faults;
mod module;
mod routes;
mod tags;
mod threads;
