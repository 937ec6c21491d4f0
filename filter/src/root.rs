//! The configurations that this VM runs, and the root contexts that run them: the old stay beside the
//! new for as long as their requests are in flight, and run what is newest.

use crate::counts::Counts;
use crate::label::{self, Labels};
use serin_core::field::FieldErrors;
use serin_core::route::Table;
use serin_core::wire::{FilterConfig, Role, Variant};
use std::cell::RefCell;
use std::rc::Rc;

/// A root context.
#[derive(Debug, Default)]
pub(crate) struct Root {
    /// Its number.
    pub(crate) context: u32,
    /// What it runs; none before it is configured.
    pub(crate) active: Option<Rc<RefCell<Active>>>,
    /// Whether its generation is still to be shown.
    pub(crate) unseen: bool,
    /// Nanoseconds since its last tick, or since it began.
    pub(crate) silence: u64,
}

impl Root {
    /// Runs something with what is active. Nothing else has it at that time: the host makes no
    /// callback inside another, and each callback asks once.
    pub(crate) fn with<R>(&self, use_of: impl FnOnce(&mut Active) -> R) -> Option<R> {
        let mut active = self.active.as_ref()?.try_borrow_mut().ok()?;
        Some(use_of(&mut active))
    }
}

/// A configuration, ready for requests.
#[derive(Debug)]
pub(crate) struct Active {
    pub(crate) config: FilterConfig,
    pub(crate) table: Table,
    /// Whether Istio counts here too, and is to know of the canary.
    pub(crate) beside_istio: bool,
    /// The series of each rule's stable and canary requests, from the first request on.
    rules: Vec<[Known; 2]>,
    /// The series of all other requests.
    rest: Known,
}

/// The number of a series, once it is known. Asked for once: the answer for too many series does
/// not change either.
#[derive(Clone, Copy, Debug, Default)]
enum Known {
    #[default]
    NotYet,
    Is(Option<u32>),
}

/// Where a request is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Counted {
    /// Not at all.
    Nowhere,
    /// In this series.
    In(u32),
    /// As one too many.
    Overflow,
}

impl Active {
    /// Makes a configuration ready that is this proxy's own, in a mesh or not.
    pub(crate) fn new(mut config: FilterConfig, in_mesh: bool) -> Result<Self, FieldErrors> {
        let table = Table::compile(&config)?;
        for rule in &mut config.rules {
            rule.hosts = Vec::new(); // the table has them
        }
        Ok(Active {
            rules: vec![<[Known; 2]>::default(); config.rules.len()],
            rest: Known::default(),
            beside_istio: in_mesh && !config.istio_metrics,
            table,
            config,
        })
    }

    /// Where requests of a rule are counted.
    pub(crate) fn routed(&mut self, rule: usize, to: Variant, counts: &mut Counts) -> Counted {
        let config = &self.config;
        let labels = || Some(label::routed(config, config.rules.get(rule)?, to));
        let Some([stable, canary]) = self.rules.get_mut(rule) else {
            return Counted::Nowhere;
        };
        match to {
            Variant::Stable => stable.get(counts, labels),
            Variant::Canary => canary.get(counts, labels),
        }
    }

    /// Where all other requests are counted: those that reach the pod, or those without a rule.
    pub(crate) fn rest(&mut self, counts: &mut Counts) -> Counted {
        let config = &self.config;
        let labels = || match (config.role, &config.proxy.pod) {
            (Role::Destination, Some(pod)) => Some(label::served(config, pod)),
            _ => config.istio_metrics.then(|| label::other(config)),
        };
        if !config.istio_metrics && config.role == Role::Source {
            return Counted::Nowhere;
        }
        self.rest.get(counts, labels)
    }
}

impl Known {
    fn get(&mut self, counts: &mut Counts, labels: impl FnOnce() -> Option<Labels>) -> Counted {
        if let Known::NotYet = self {
            *self = Known::Is(labels().and_then(|labels| counts.series(labels)));
        }
        match self {
            Known::Is(Some(series)) => Counted::In(*series),
            _ => Counted::Overflow,
        }
    }
}
