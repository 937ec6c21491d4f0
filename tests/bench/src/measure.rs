//! One Envoy process measured: variants in, rounds of slots out.

use anyhow::{Context, Result, ensure};
use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::envoy::Envoy;
use crate::load::{Client, Requests};
use crate::machine::{self, Cores};
use crate::ratio::{Round, Slot};
use crate::upstream::Upstream;
use crate::variant::{self, CANARY_PERCENT, Variant};

/// Long enough for some hundred requests, short enough for a whole round to see the same machine
/// while other work on it comes and goes.
const SLOT: Duration = Duration::from_millis(25);

/// Rounds before the first that counts: V8 compiles hot code while it runs.
const WARM_UP_ROUNDS: usize = 16;

/// One Envoy process: as many rounds over all variants as `time` allows.
pub(crate) fn process(
    binary: &Path,
    dir: &Path,
    variants: &[Variant],
    cores: Cores,
    time: Duration,
) -> Result<Vec<Round>> {
    let mut random = fastrand::Rng::new();
    let mut upstreams = [Upstream::start()?, Upstream::start()?];
    let [stable, canary] = &upstreams;
    let clusters = [("stable", stable.address), ("canary", canary.address)];
    let config = variant::bootstrap(variants, &clusters);
    let envoy = Envoy::start(binary, dir, &config, cores)?;
    let mut requests = Requests::prepare(&mut random);
    let mut lanes = connect(&envoy, variants)?;
    let mut order: Vec<usize> = (0..variants.len()).collect();
    let mut rounds = Vec::new();
    let deadline = Instant::now() + time;
    while Instant::now() < deadline || rounds.len() <= WARM_UP_ROUNDS {
        random.shuffle(&mut order);
        let mut slots = HashMap::new();
        for &i in &order {
            let lane = lanes.get_mut(i).context("a variant without connections")?;
            slots.insert(i, lane.slot(&envoy, &mut upstreams, &mut requests)?);
        }
        rounds.push(round(slots));
    }
    for (lane, variant) in lanes.iter().zip(variants) {
        lane.check(variant)?;
    }
    Ok(rounds.split_off(WARM_UP_ROUNDS))
}

fn connect(envoy: &Envoy, variants: &[Variant]) -> Result<Vec<Lane>> {
    let open = |variant: &Variant| {
        let address = envoy.listeners.get(variant.name);
        let address = address.with_context(|| format!("no listener {}", variant.name))?;
        Ok(Lane {
            client: Client::connect(*address)?,
            requests: 0,
            canary: 0,
        })
    };
    variants.iter().map(open).collect()
}

/// The slots in the table's order. Idleness is known too roughly for a single slot, so each gets
/// what the round says of it.
fn round(slots: HashMap<usize, Slot>) -> Round {
    let others = slots.values().map(|slot| slot.others).sum::<f64>() / slots.len() as f64;
    let mut slots: Vec<(usize, Slot)> = slots.into_iter().collect();
    slots.sort_by_key(|(variant, _)| *variant);
    slots
        .into_iter()
        .map(|(_, slot)| Slot { others, ..slot })
        .collect()
}

/// A variant's connections and what went through them.
struct Lane {
    client: Client,
    requests: u64,
    canary: u64,
}

impl Lane {
    /// One slot.
    fn slot(
        &mut self,
        envoy: &Envoy,
        upstreams: &mut [Upstream; 2],
        requests: &mut Requests,
    ) -> Result<Slot> {
        let canary_served = |[_, canary]: &[Upstream; 2]| canary.served;
        let canary_before = canary_served(upstreams);
        let before = Spent::read(envoy)?;
        let sent = self.client.send(requests, upstreams, SLOT)?;
        let spent = Spent::read(envoy)?.since(before);
        self.requests += sent;
        self.canary += canary_served(upstreams) - canary_before;
        Ok(spent.slot(sent))
    }

    /// Whether the variant did what it is measured for. The bounds are wide, since 1,000 users are
    /// few: the split itself has tests of its own.
    fn check(&self, variant: &Variant) -> Result<()> {
        let percent = self.canary as f64 * 100.0 / self.requests as f64;
        let wanted = f64::from(CANARY_PERCENT);
        let fine = match variant.splits {
            true => (wanted / 2.0..wanted * 2.0).contains(&percent),
            false => self.canary == 0,
        };
        ensure!(
            fine,
            "{}: {percent:.1} % of its requests reached the canary, expected {}",
            variant.name,
            if variant.splits { CANARY_PERCENT } else { 0 },
        );
        Ok(())
    }
}

/// Where the time of two cores went, in nanoseconds.
#[derive(Clone, Copy)]
struct Spent {
    at: Instant,
    envoy: u64,
    load: u64,
    idle: u64,
}

impl Spent {
    fn read(envoy: &Envoy) -> Result<Self> {
        Ok(Spent {
            envoy: envoy.cpu_time_ns()?,
            load: machine::cpu_time_ns(std::process::id())?,
            idle: machine::idle_ns(envoy.cores)?,
            at: Instant::now(),
        })
    }

    fn since(self, before: Self) -> Delta {
        Delta {
            took: (self.at - before.at).as_nanos() as f64,
            envoy: self.envoy.saturating_sub(before.envoy) as f64,
            rest: (self.load + self.idle).saturating_sub(before.load + before.idle) as f64,
        }
    }
}

/// The same for one slot; `rest` is what the load used and nobody needed.
struct Delta {
    took: f64,
    envoy: f64,
    rest: f64,
}

impl Delta {
    fn slot(&self, requests: u64) -> Slot {
        const CORES: f64 = 2.0;
        Slot {
            cost_ns: self.envoy / requests as f64,
            others: 1.0 - (self.envoy + self.rest) / (CORES * self.took),
        }
    }
}
