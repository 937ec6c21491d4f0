//! The controller.

pub mod draw;
pub mod local;
pub mod view;
