//! One Envoy process measured: variants in, rounds of slots out.

use anyhow::{Context, Result, ensure};
use serin_bench::in_flight::CANARY_PERCENT;
use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::envoy::{Envoy, Launch};
use crate::load::{Client, Requests};
use crate::ratio::Round;
use crate::upstream::Upstream;
use crate::variant::{self, Variant};

/// Long enough for some hundred requests, short enough for a whole round to see the same machine
/// while other work on it comes and goes.
const SLOT: Duration = Duration::from_millis(25);

/// Rounds before the first that counts: V8 compiles hot code while it runs.
const WARM_UP_ROUNDS: usize = 16;

/// One Envoy process: as many rounds over all variants as `time` allows.
pub(crate) fn process(
    launch: &Launch<'_>,
    variants: &[Variant],
    time: Duration,
) -> Result<Vec<Round>> {
    let mut random = fastrand::Rng::new();
    let mut upstreams = [Upstream::start()?, Upstream::start()?];
    let [stable, canary] = &upstreams;
    let clusters = [("stable", stable.address), ("canary", canary.address)];
    let config = variant::bootstrap(variants, &clusters);
    let envoy = Envoy::start(launch, &config)?;
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
        rounds.push(order_of_table(slots));
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

fn order_of_table(slots: HashMap<usize, f64>) -> Round {
    let mut slots: Vec<(usize, f64)> = slots.into_iter().collect();
    slots.sort_by_key(|(variant, _)| *variant);
    slots.into_iter().map(|(_, cost_ns)| cost_ns).collect()
}

/// A variant's connections and what went through them.
struct Lane {
    client: Client,
    requests: u64,
    canary: u64,
}

impl Lane {
    /// One slot: what a request cost Envoy in nanoseconds.
    fn slot(
        &mut self,
        envoy: &Envoy,
        upstreams: &mut [Upstream; 2],
        requests: &mut Requests,
    ) -> Result<f64> {
        let canary_served = |[_, canary]: &[Upstream; 2]| canary.served;
        let canary_before = canary_served(upstreams);
        let before = envoy.cpu_time_ns()?;
        let sent = self.client.send(requests, upstreams, SLOT)?;
        let used = envoy.cpu_time_ns()? - before;
        self.requests += sent;
        self.canary += canary_served(upstreams) - canary_before;
        Ok(used as f64 / sent as f64)
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
