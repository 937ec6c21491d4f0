//! What releases in flight take of Envoy's memory: sidecars with the objects' filters, in which as
//! many generations follow one another as a release has steps.

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use serin::ecds;
use serin_bench::in_flight::Releases;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use crate::envoy::{Envoy, Launch};
use crate::variant;

/// Generations after the first.
pub(crate) const FURTHER: u64 = 20;

/// Two numbers of workers, by whose difference one worker's share is known. Two Envoys differ by a
/// megabyte anyway.
const FEW: usize = 1;
const MORE: usize = 5;

/// How long Envoy may take to show a generation.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long Envoy is given to free what it needs for a change only.
const SETTLES: Duration = Duration::from_secs(3);

/// Envoy's memory in megabytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    /// With one worker.
    pub(crate) whole: f64,
    /// What each further worker adds.
    pub(crate) worker: f64,
    /// With one worker, when [`FURTHER`] generations have come one after the other.
    pub(crate) later: f64,
}

/// Memory with these releases; without any, that of an Envoy whose filter has no module.
pub(crate) fn measure(
    launch: &Launch<'_>,
    module: &Path,
    releases: Option<&Releases>,
) -> Result<Memory> {
    let mut few = Sidecar::start(launch, FEW, module, releases)?;
    let more = Sidecar::start(launch, MORE, module, releases)?;
    thread::sleep(SETTLES);
    let (whole, with_more) = (few.envoy.memory_mb()?, more.envoy.memory_mb()?);
    drop(more);
    for generation in 2..2 + FURTHER {
        few.tell(generation)?;
    }
    thread::sleep(SETTLES);
    Ok(Memory {
        whole,
        worker: (with_more - whole) / (MORE - FEW) as f64,
        later: few.envoy.memory_mb()?,
    })
}

/// An Envoy with a listener for requests that go out and one for those that come in.
struct Sidecar<'a> {
    envoy: Envoy,
    dir: PathBuf,
    code: Value,
    releases: Option<&'a Releases>,
}

impl<'a> Sidecar<'a> {
    fn start(
        launch: &Launch<'_>,
        workers: usize,
        module: &Path,
        releases: Option<&'a Releases>,
    ) -> Result<Self> {
        let dir = launch.dir.join(format!("sidecar-{workers}"));
        fs::create_dir_all(&dir)?;
        let code = json!({"local": {"filename": module}});
        let objects = objects(releases, 1, &code)?;
        write(&dir, &objects)?;
        let listeners = listeners(&dir, &objects);
        let config = variant::bootstrap_of(listeners, &[]);
        let launch = Launch {
            dir: &dir,
            workers,
            ..*launch
        };
        let sidecar = Sidecar {
            envoy: Envoy::start(&launch, &config)?,
            dir: dir.clone(),
            code,
            releases,
        };
        sidecar.until_shown(1)?;
        Ok(sidecar)
    }

    fn tell(&mut self, generation: u64) -> Result<()> {
        write(&self.dir, &objects(self.releases, generation, &self.code)?)?;
        self.until_shown(generation)
    }

    /// Waits until every filter shows it. A filter without a module shows nothing.
    fn until_shown(&self, generation: u64) -> Result<()> {
        if self.releases.is_none() {
            return Ok(());
        }
        let deadline = Instant::now() + PATIENCE;
        let mut shown = String::new();
        while Instant::now() < deadline {
            shown = self.envoy.ask("/stats?filter=serin_config_generation")?;
            let values = shown.lines().filter_map(|line| line.rsplit_once(": "));
            let values = values.filter_map(|(_, value)| value.trim().parse::<u64>().ok());
            let values: Vec<u64> = values.collect();
            if !values.is_empty() && values.iter().all(|value| *value == generation) {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(10));
        }
        bail!("generation {generation} is not shown after {PATIENCE:?}: {shown}")
    }
}

fn objects(releases: Option<&Releases>, generation: u64, code: &Value) -> Result<Vec<Value>> {
    let none = Releases::default();
    let releases = releases.unwrap_or(&none);
    Ok(releases.objects("istio-system", generation, code)?)
}

/// The filters of the objects: those for requests that go out, and those for requests that come in.
fn filters(objects: &[Value]) -> [Vec<&Value>; 2] {
    [0, 1].map(|patch| {
        let objects = objects.iter();
        let filters =
            objects.map(|object| &object["spec"]["configPatches"][patch]["patch"]["value"]);
        filters.collect()
    })
}

/// Where Envoy finds what a filter is to do.
fn file(dir: &Path, filter: &Value) -> PathBuf {
    dir.join(format!(
        "{}.json",
        filter["name"].as_str().unwrap_or_default()
    ))
}

/// Envoy looks at a file that is moved into place.
fn write(dir: &Path, objects: &[Value]) -> Result<()> {
    for filter in filters(objects).into_iter().flatten() {
        let mut extension = filter.clone();
        extension["@type"] = json!("type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig");
        let document = json!({"resources": [extension]});
        let (new, path) = (dir.join("new"), file(dir, filter));
        fs::write(&new, document.to_string())?;
        fs::rename(&new, &path).with_context(|| path.display().to_string())?;
    }
    Ok(())
}

fn listeners(dir: &Path, objects: &[Value]) -> Vec<Value> {
    let listener = |name: &str, filters: Vec<&Value>| {
        let filters = filters.into_iter().map(|filter| {
            let path = json!({"path": file(dir, filter)});
            let source = json!({"resource_api_version": "V3", "path_config_source": path});
            ecds::filter(filter["name"].as_str().unwrap_or_default(), &source)
        });
        let answers = json!([{"match": {"prefix": "/"}, "direct_response": {"status": 200}}]);
        variant::listener(name, &filters.collect::<Vec<_>>(), &[], &answers)
    };
    let [out, back_in] = filters(objects);
    vec![listener("out", out), listener("in", back_in)]
}
