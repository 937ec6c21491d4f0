//! What `make bench` measures with, where more than one program needs it.

pub mod in_flight;
pub mod push;
