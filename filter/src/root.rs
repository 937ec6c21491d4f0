//! The configurations that this VM runs: one root context each, the old beside the new for as long
//! as requests of the old are in flight.

use crate::counts::Counts;
use crate::label::{self, Labels};
use serin_core::field::FieldErrors;
use serin_core::route::Table;
use serin_core::wire::{FilterConfig, Node, Role, Variant};

/// A root context.
#[derive(Debug, Default)]
pub(crate) struct Root {
    /// Its number.
    pub(crate) context: u32,
    /// What it was configured to; none before that.
    pub(crate) active: Option<Active>,
    /// Whether its generation is still to be shown.
    pub(crate) unseen: bool,
    /// Nanoseconds since its last tick, or since it began.
    pub(crate) silence: u64,
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
    /// The same at this proxy, which the configuration may leave open.
    pub(crate) fn at(self, node: &Node) -> Active {
        Active {
            beside_istio: !self.config.istio_metrics,
            config: self.config.at(node),
            ..self
        }
    }

    /// Reads a configuration as core validates it.
    pub(crate) fn from_json(json: &[u8]) -> Result<Self, FieldErrors> {
        let mut config = FilterConfig::from_json(json)?;
        let table = Table::compile(&config)?;
        for rule in &mut config.rules {
            rule.hosts = Vec::new(); // the table has them
        }
        Ok(Active {
            rules: vec![<[Known; 2]>::default(); config.rules.len()],
            rest: Known::default(),
            beside_istio: false,
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
