//! The demo: an app to be released, and the story of its releases told on a real machine.

pub mod app;
pub mod story;
