//! How a function becomes a test: it gets the cluster and a runtime, and may not take for ever.

use libtest_mimic::{Arguments, Trial};
use serin_tests::cluster::Cluster;
use serin_tests::local::runtime;
use std::sync::OnceLock;
use std::time::Duration;

/// No test takes this long.
const LIMIT: Duration = Duration::from_secs(480);

/// The tests of a module: `async fn(&Cluster)` each. Those after `alone:` disturb others and run
/// without them. A function that is not listed is dead code, which the compiler tells.
macro_rules! trials {
    ($($name:ident),* $(; alone: $($alone:ident),+)? $(,)?) => {
        /// The tests of this module.
        pub(crate) fn trials() -> Vec<libtest_mimic::Trial> {
            let module = module_path!();
            vec![
                $($crate::trial::new(module, stringify!($name), false, $name),)*
                $($($crate::trial::new(module, stringify!($alone), true, $alone),)+)?
            ]
        }
    };
}
pub(crate) use trials;

/// One test.
pub(crate) fn new<F: Future<Output = ()>>(
    module: &str,
    name: &str,
    alone: bool,
    test: impl FnOnce(&'static Cluster) -> F + Send + 'static,
) -> Trial {
    let module = module.split_once("::").map_or(module, |(_, module)| module);
    let trial = Trial::test(format!("{module}::{name}"), move || {
        let cluster = cluster()?;
        let limited = async { tokio::time::timeout(LIMIT, test(cluster)).await };
        let ended = runtime().block_on(limited);
        ended.map_err(|_| format!("it takes longer than {LIMIT:?}").into())
    });
    trial.with_kind(if alone { ALONE } else { "" })
}

/// The kind of those that run without others.
const ALONE: &str = "alone";

/// Runs all of them; those that run alone come last, one after the other in their order, because
/// after an outage other processes ask again after up to a minute. Whether one failed.
pub(crate) fn run(arguments: Arguments, trials: Vec<Trial>) -> bool {
    let (alone, together) = trials.into_iter().partition(|trial| trial.kind() == ALONE);
    let one_by_one = Arguments {
        test_threads: Some(1),
        ..arguments.clone()
    };
    let together = libtest_mimic::run(&arguments, together);
    let alone = libtest_mimic::run(&one_by_one, alone);
    together.has_failed() || alone.has_failed()
}

static CLUSTER: OnceLock<Result<Cluster, String>> = OnceLock::new();

fn cluster() -> Result<&'static Cluster, String> {
    let started = CLUSTER.get_or_init(Cluster::start);
    started.as_ref().map_err(Clone::clone)
}

/// Ends the cluster, if a test started it. Its logs stay if a test failed.
pub(crate) fn end(failed: bool) {
    if let Some(Ok(cluster)) = CLUSTER.get() {
        if failed {
            eprintln!("the cluster's logs: {}", cluster.keep_logs().display());
        }
        cluster.stop();
    }
}

/// Whether no test is left out.
pub(crate) fn all_run(arguments: &Arguments) -> bool {
    arguments.filter.is_none() && arguments.skip.is_empty() && !arguments.ignored
}

/// Whether a test runs at all.
pub(crate) fn any_runs(trials: &[Trial], arguments: &Arguments) -> bool {
    let fits = |name: &str, text: &String| {
        if arguments.exact {
            name == text
        } else {
            name.contains(text.as_str())
        }
    };
    let runs = |trial: &Trial| {
        arguments.filter.iter().all(|text| fits(trial.name(), text))
            && !arguments.skip.iter().any(|text| fits(trial.name(), text))
    };
    !arguments.list && trials.iter().any(runs)
}
