//! One VM: a worker's configurations, requests and counts. A callback comes in; what the filter
//! does about it is here, from top to bottom in the order of a request's life.

use crate::counts::Counts;
use crate::host;
use crate::pairs::Pairs;
use crate::root::{Active, Counted, Root};
use crate::shown::Shown;
use crate::streams::Streams;
use crate::tags;
use serin_core::revision::HASH_LABEL;
use serin_core::route::{Request, Table};
use serin_core::wire::{FilterConfig, Node, Role, VARIANT_HEADER, Variant};
use std::cell::RefCell;
use std::rc::Rc;

/// The first tick comes once all workers have taken a configuration in: it shows the generation,
/// which must not be seen before requests are routed by it.
const FIRST_TICK: u32 = 50;
/// Ticks after that: how old the counts may be that Prometheus scrapes.
const TICK: u32 = 1_000;
/// How long a root may go without a tick, in nanoseconds, before it counts as gone. All timers of
/// a VM belong to one thread and have the same period, so two apart is already out of the ordinary.
const SILENCE: u64 = 16_000_000_000;
/// How much of the time between two ticks counts, in nanoseconds: a thread that stood still for
/// long has not heard from any root.
const LONGEST_GAP: u64 = 2_000_000_000;

thread_local! {
    static VM: RefCell<Vm> = RefCell::default();
}

/// Runs a callback. The host makes none inside another but for memory, which is apart; should it
/// all the same, `otherwise` is the answer.
pub(crate) fn with_vm<R>(otherwise: R, callback: impl FnOnce(&mut Vm) -> R) -> R {
    VM.with(|vm| match vm.try_borrow_mut() {
        Ok(mut vm) => callback(&mut vm),
        Err(_) => otherwise,
    })
}

/// All that a VM knows.
#[derive(Debug, Default)]
pub(crate) struct Vm {
    roots: Vec<Root>,
    streams: Streams,
    counts: Counts,
    shown: Shown,
    random: u64,
    /// When any root last ticked.
    ticked: u64,
}

/// What the headers said.
struct Decision {
    /// The rule, and the side that the request goes to.
    to: Option<(usize, Variant)>,
    sent_variant: bool,
}

impl Vm {
    /// A root context begins.
    pub(crate) fn start_root(&mut self, context: u32) {
        if self.root(context).is_none() {
            self.roots.push(Root {
                context,
                ..Root::default()
            });
        }
    }

    /// A root context gets its configuration; `false` refuses it.
    pub(crate) fn configure(&mut self, context: u32, size: usize) -> bool {
        let config = match host::configuration(size, FilterConfig::from_json) {
            Ok(config) => config,
            Err(error) => {
                self.counts.expect::<()>(Err(error));
                return false;
            }
        };
        let active = config.and_then(|config| {
            let in_mesh = config.proxy.is_unnamed();
            let node = match in_mesh {
                true => self.node(),
                false => Node::default(),
            };
            Active::new(config.at(&node), in_mesh)
        });
        let active = match active {
            Ok(active) => active,
            Err(errors) => {
                host::log_error(&errors.to_string());
                return false;
            }
        };
        let active = self.newest(active);
        self.retire_older(&active);
        self.start_root(context);
        if let Some(root) = self.root(context) {
            root.active = Some(active);
            root.unseen = true;
        }
        self.counts.expect(host::tick_every(FIRST_TICK));
        true
    }

    /// What is to run when this arrives: Istio's agent hands a configuration on once it has fetched
    /// the module, so an older one may arrive after a newer one, and must not come into force.
    fn newest(&self, arrived: Active) -> Rc<RefCell<Active>> {
        let known = self.roots.iter().filter_map(|root| root.active.as_ref());
        let newer = known.filter(|known| {
            known.try_borrow().is_ok_and(|known| {
                known.config.name == arrived.config.name
                    && known.config.generation > arrived.config.generation
            })
        });
        let generation = |known: &&Rc<RefCell<Active>>| {
            let known = known.try_borrow();
            known.map_or(0, |known| known.config.generation)
        };
        match newer.max_by_key(generation) {
            Some(newest) => Rc::clone(newest),
            None => Rc::new(RefCell::new(arrived)),
        }
    }

    /// Has older roots run this too. What their requests in flight need was decided with the headers,
    /// and an old configuration that stayed until its root is forgotten would take megabytes.
    fn retire_older(&mut self, newest: &Rc<RefCell<Active>>) {
        let identity = |active: &Rc<RefCell<Active>>| {
            let active = active.try_borrow().ok()?;
            Some((active.config.name.clone(), active.config.generation))
        };
        let Some((name, generation)) = identity(newest) else {
            return;
        };
        for root in &mut self.roots {
            let own = root.active.as_ref().and_then(identity);
            if own.is_some_and(|(own, older)| own == name && older < generation) {
                root.active = Some(Rc::clone(newest));
            }
        }
    }

    /// What the proxy says of itself; a plain Envoy says nothing.
    fn node(&mut self) -> Node {
        let mut metadata = |path: &[&str]| {
            let value = self.counts.expect(host::node_metadata(path));
            value.flatten().unwrap_or_default()
        };
        Node {
            workload: metadata(&["WORKLOAD_NAME"]),
            namespace: metadata(&["NAMESPACE"]),
            revision: metadata(&["LABELS", HASH_LABEL]),
        }
    }

    /// A request begins. Where no release is in flight, that is all that ever happens to it.
    pub(crate) fn start_stream(&mut self, context: u32, root: u32) {
        let root = self.root(root);
        if let Some(root) = root.filter(|root| root.with(|a| !a.config.is_idle()) == Some(true)) {
            let root = root.context;
            if self.streams.insert(context, root) {
                self.counts.overflow();
            }
        }
    }

    /// A request's headers are there: it is decided, its header written, its series found.
    pub(crate) fn request(&mut self, context: u32) {
        let Vm {
            roots,
            streams,
            counts,
            random,
            ..
        } = self;
        let Some(stream) = streams.find(context) else {
            return;
        };
        let Some(root) = find(roots, stream.root) else {
            return;
        };
        let started = counts.expect(host::monotonic());
        stream.started = started;
        let counted = root.with(|active| {
            let to = match active.config.role {
                Role::Source => {
                    let draw = || next(random, started.unwrap_or_default());
                    let table = &active.table;
                    let decision = host::request_headers(|headers| decide(table, headers, draw));
                    let mut decision = counts.expect(decision).unwrap_or(Decision::UNKNOWN);
                    // What the filter before this one wrote is no client's.
                    decision.sent_variant &= decision.to.is_some() || !active.config.after_another;
                    decision.carry_out(counts)
                }
                Role::Destination => None,
            };
            if active.beside_istio {
                tags::leave(&active.config, to, counts);
                if let Some((rule, Variant::Stable)) = to {
                    let rule = u32::try_from(rule).ok();
                    stream.stable = rule.zip(Some(active.config.generation));
                }
            }
            match to {
                Some((rule, variant)) => active.routed(rule, variant, counts),
                None => active.rest(counts),
            }
        });
        match counted {
            None | Some(Counted::Nowhere) => {}
            Some(Counted::Overflow) => counts.overflow(),
            Some(Counted::In(series)) => stream.series = Some(series),
        }
    }

    /// A request is over.
    pub(crate) fn log(&mut self, context: u32) {
        let Some(stream) = self.streams.take(context) else {
            return;
        };
        let Some(series) = stream.series else {
            return;
        };
        let now = self.counts.expect(host::monotonic());
        let code = self.counts.expect(host::response_status()).flatten();
        let duration = now.zip(stream.started);
        let duration = duration.map_or(0, |(now, started)| now.saturating_sub(started));
        let code = code.unwrap_or_default();
        if let Some((rule, generation)) = stream.stable.filter(|_| tags::may_lack_a_peer(code)) {
            let Vm { roots, counts, .. } = self;
            if let Some(root) = find(roots, stream.root) {
                root.with(|active| {
                    // A rule has its number in one configuration only.
                    if active.config.generation == generation {
                        tags::leave_stable(&active.config, rule as usize, counts);
                    }
                });
            }
        }
        self.counts.request(series, code, duration);
    }

    /// A root context's time to flush; the counts are all roots'.
    pub(crate) fn tick(&mut self, context: u32) {
        let now = self.counts.expect(host::monotonic());
        let Vm {
            roots,
            counts,
            shown,
            ..
        } = self;
        if let Some(root) = find(roots, context) {
            // Again with every tick: a thread that was late may have shown an older one since.
            let is_shown = root.with(|active| shown.show(&active.config, now, counts));
            if root.unseen && is_shown == Some(true) {
                root.unseen = counts.expect(host::tick_every(TICK)).is_none();
            }
        }
        if let Some(now) = now {
            self.forget_roots(context, now);
        }
        self.counts.flush();
    }

    /// The host ends a root context without a word, for a callback that says so would be made for
    /// every request too. One whose timer has stopped has ended.
    fn forget_roots(&mut self, ticked: u32, now: u64) {
        let gap = now.saturating_sub(self.ticked).min(LONGEST_GAP);
        self.ticked = now;
        self.roots.retain_mut(|root| {
            root.silence = match root.context == ticked {
                true => 0,
                false => root.silence + gap,
            };
            root.silence <= SILENCE
        });
    }

    fn root(&mut self, context: u32) -> Option<&mut Root> {
        find(&mut self.roots, context)
    }
}

/// The newest root is the one that requests come to.
fn find(roots: &mut [Root], context: u32) -> Option<&mut Root> {
    roots.iter_mut().rev().find(|root| root.context == context)
}

fn decide(table: &Table, headers: Pairs<'_>, draw: impl FnOnce() -> u64) -> Decision {
    let request = Request::read(headers);
    let rule = table.find(request.authority);
    Decision {
        to: rule.map(|(index, rule)| (index, rule.choose(&request, headers, draw))),
        sent_variant: request.sent_variant,
    }
}

impl Decision {
    /// The headers could not be read, so the client may have sent anything.
    const UNKNOWN: Decision = Decision {
        to: None,
        sent_variant: true,
    };

    /// Writes the header that says canary, or removes the one that a client sent. Where the header
    /// cannot be written, the request goes to stable.
    fn carry_out(self, counts: &mut Counts) -> Option<(usize, Variant)> {
        let mut sent_variant = self.sent_variant;
        if let Some((rule, Variant::Canary)) = self.to {
            let written = host::replace_request_header(VARIANT_HEADER, Variant::Canary.as_str());
            if counts.expect(written).is_some() {
                return Some((rule, Variant::Canary));
            }
            sent_variant = true;
        }
        if sent_variant {
            let removed = host::remove_request_header(VARIANT_HEADER);
            if counts.expect(removed).is_none() {
                let stable = Variant::Stable.as_str();
                counts.expect(host::replace_request_header(VARIANT_HEADER, stable));
            }
        }
        self.to.map(|(rule, _)| (rule, Variant::Stable))
    }
}

/// A random number (SplitMix64). The time of each request goes in, so that workers, whose VMs are
/// copies of one another, do not draw alike.
fn next(state: &mut u64, now: u64) -> u64 {
    *state = state.wrapping_add(now).wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
