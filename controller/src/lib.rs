//! The controller.

pub mod view;
