//! Local mode: in comes a directory of manifests, out come releases on this machine, with a real
//! Envoy, the real filter and a real Prometheus.

mod backoff;
mod block;
mod child;
pub mod desk;
mod envoy;
pub mod guard;
mod options;
mod own;
mod prometheus;
mod replica;
mod secrets;
mod sets;
pub mod socket;
mod standby;
mod stop;
mod store;
mod tool;
pub mod traffic;
mod world;

use std::fs;
use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio::net::UnixListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;

pub use desk::{Desk, Doors};
pub use options::{DEFAULT_GATEWAY, DEFAULT_STATE, Options};

use block::Addresses;
use child::Launch;
use envoy::Files;
use secrets::SecretFile;
use sets::{Sets, Surroundings};
use standby::Standby;
use store::Store;
use tool::Tool;
use traffic::{Aim, Traffic};
use world::{Place, World};

/// A local mode that is ready to run.
pub struct Local {
    desk: Desk,
    traffic: Option<Traffic>,
    socket: UnixListener,
    standby: Standby,
    envoy: Launch,
    prometheus: Launch,
    world: World,
}

/// Opens local mode and runs it until SIGINT or SIGTERM.
///
/// # Errors
/// What keeps it from starting, or from going on.
pub async fn run(options: Options) -> anyhow::Result<()> {
    let local = open(options).await?;
    local.run(asked_to_stop()?).await
}

/// Returns a future that ends with SIGINT or SIGTERM.
///
/// # Errors
/// If the signals cannot be listened to.
pub fn asked_to_stop() -> anyhow::Result<impl Future<Output = ()>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// Reads the manifests, makes sure that nothing of an earlier start is left, and writes what Envoy
/// starts with. Nothing but the guard is started yet.
///
/// # Errors
/// Everything that keeps local mode from starting.
pub async fn open(options: Options) -> anyhow::Result<Local> {
    let dir = fs::canonicalize(&options.dir)
        .with_context(|| format!("read {}", options.dir.display()))?;
    let envoy = tool::find("envoy", options.envoy.as_deref())?;
    let prometheus = tool::find("prometheus", options.prometheus.as_deref())?;
    // Nobody else gets to what is made in it, such as the socket before its mode is set.
    let mut private = fs::DirBuilder::new();
    private.recursive(true).mode(0o700);
    let make = |dir: &Path| {
        let made = private.create(dir);
        made.with_context(|| format!("create {}", dir.display()))
    };
    make(&options.state)?;
    own::check_directory(&options.state)?;
    make(&options.state.join("logs"))?;
    let state = fs::canonicalize(&options.state)?;
    let secrets = options.secrets.as_deref();
    let secrets = secrets.map(|file| SecretFile::open(file, &state));
    let secrets = secrets.transpose()?;
    let standby = Standby::begin(&state, options.guard.as_deref()).await?;
    let gateway = free(options.gateway).await?;
    let (store, memory) = Store::open(&state)?;
    let module = match &options.module {
        Some(path) => fs::read(path).with_context(|| format!("read {}", path.display()))?,
        None => serin_filter_module::MODULE.to_vec(),
    };
    let files = Files::begin(&state, &module)?;
    let changed = Arc::new(Notify::new());
    let surroundings = Surroundings {
        dir: dir.clone(),
        logs: state.join("logs"),
        ward: standby.ward.clone(),
        path: path_with_own_directory()?,
    };
    let block = standby.block;
    let (admin, prometheus_at) = block
        .doors()
        .context("find ports for Envoy's admin and Prometheus")?;
    let place = Place {
        dir,
        gateway,
        admin,
        prometheus: prometheus_at,
        keep_prometheus_addresses: options.keep_prometheus_addresses,
        secrets,
    };
    let envoy = files.launch(envoy, &state, &standby.ward, admin)?;
    let prometheus = prometheus::launch(prometheus, &state, &standby.ward, prometheus_at, admin)?;
    let sets = Sets::new(surroundings, Addresses::of(block), Arc::clone(&changed));
    let (desk, counter) = Desk::open(Doors {
        gateway,
        prometheus: prometheus_at,
        envoy_admin: admin,
    });
    let mut world = World::new(place, store, memory, files, sets, counter, changed)?;
    world.load()?;
    let host = world.host_of(options.traffic_to.as_deref())?;
    let traffic = options.traffic.map(|rate| {
        Traffic::start(Aim {
            gateway,
            host,
            rate,
            seed: 1,
        })
    });
    Ok(Local {
        traffic: traffic.transpose()?,
        socket: socket::listen(&state)?,
        desk,
        standby,
        envoy,
        prometheus,
        world,
    })
}

impl Local {
    /// A handle on it.
    pub fn desk(&self) -> Desk {
        self.desk.clone()
    }

    /// The requests that it sends, if it was asked to.
    pub fn traffic(&self) -> Option<Traffic> {
        self.traffic.clone()
    }

    /// Runs until `stop` ends, then ends every child.
    ///
    /// # Errors
    /// What keeps it from going on; the children are ended all the same.
    pub async fn run(mut self, stop: impl Future<Output = ()>) -> anyhow::Result<()> {
        // Envoy finds its first configuration when it starts.
        self.world.pass()?;
        let envoy = Tool::keep("envoy", self.envoy);
        let prometheus = Tool::keep("prometheus", self.prometheus);
        let doors = self.desk.doors();
        tracing::info!(gateway = %doors.gateway, prometheus = %doors.prometheus, "local mode runs");
        let served = socket::serve(self.socket, self.desk.clone(), self.traffic);
        let ended = tokio::select! {
            () = stop => Ok(()),
            ended = self.world.run(&envoy, &prometheus) => ended,
            ended = self.standby.watch() => ended,
            ended = served => ended.context("serve the socket"),
        };
        tracing::info!("local mode stops");
        // Callers first: nobody is sent to a replica that is ending.
        tokio::join!(envoy.end(), prometheus.end());
        // The guard ends what is left when this process is gone.
        let _ = tokio::time::timeout(LAST_CALL, self.world.end()).await;
        ended
    }
}

/// How long replicas may take to end when local mode does; a person waits at the terminal.
const LAST_CALL: Duration = Duration::from_secs(5);

/// The address with a port that is free now, so that a conflict is told before anything starts.
async fn free(wanted: SocketAddr) -> anyhow::Result<SocketAddr> {
    let asked = Instant::now();
    loop {
        match TcpListener::bind(wanted) {
            Ok(listener) => return Ok(listener.local_addr()?),
            // The Envoy of an instance that was killed a moment ago may not be all gone.
            Err(e) if e.kind() == io::ErrorKind::AddrInUse && asked.elapsed() < LEAVING => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Err(e) => {
                return Err(e).with_context(|| {
                    format!("listen on {wanted} for the gateway (--gateway takes another address)")
                });
            }
        }
    }
}

/// How long the kernel may take to close the sockets of a process that was killed.
const LEAVING: Duration = Duration::from_secs(2);

/// PATH with the directory of this executable first.
fn path_with_own_directory() -> anyhow::Result<String> {
    let exe = std::env::current_exe()?;
    let own = exe.parent().unwrap_or(Path::new("/")).to_path_buf();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let all = std::iter::once(own).chain(std::env::split_paths(&path));
    Ok(std::env::join_paths(all)?.to_string_lossy().into_owned())
}
