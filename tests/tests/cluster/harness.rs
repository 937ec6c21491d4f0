//! The cluster itself: what the tests of others rely on.

pub(crate) mod control_plane;
pub(crate) mod pods;
pub(crate) mod traffic;
