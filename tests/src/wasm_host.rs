//! A fake host for the filter: runs the module that ships in wasmtime, and holds what the module
//! did to it. Tests put requests in and look at the headers, metrics and logs that are there
//! afterwards.

mod calls;

pub use calls::encode;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock, Mutex};
use wasmtime::{
    Config, Engine, Instance, Linker, Module, OptLevel, Store, WasmParams, WasmResults,
};

/// Header fields as the host keeps them.
pub type Fields = Vec<(Vec<u8>, Vec<u8>)>;

/// Compiled once per test binary.
static MODULE: LazyLock<(Engine, Module)> = LazyLock::new(|| {
    let mut config = Config::new();
    config.cranelift_opt_level(OptLevel::None); // the compiler takes longer than the tests
    let engine = Engine::new(&config).expect("the configuration is sound");
    let module = Module::new(&engine, serin_filter_module::MODULE).expect("the module compiles");
    (engine, module)
});

/// The module's compiled form, to ask what it imports and exports.
pub fn module() -> &'static Module {
    &MODULE.1
}

/// One VM with the filter in it.
pub struct Proxy {
    store: Store<World>,
    instance: Instance,
    next_context: u32,
}

/// What VMs share, by its key: the value, and the number of the write that put it there.
pub type Shared = BTreeMap<Vec<u8>, (Vec<u8>, u32)>;

/// What the host knows, and how it is to misbehave.
#[derive(Debug, Default)]
pub struct World {
    /// The request's headers.
    pub request: Fields,
    /// The response's headers; none if there was no response.
    pub response: Option<Fields>,
    /// The configuration that the next `on_configure` reads.
    pub config: Vec<u8>,
    /// Properties by their paths, whose parts are joined by zeros.
    pub properties: BTreeMap<Vec<u8>, Vec<u8>>,
    /// What was left with the request, by its name.
    pub left: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Monotonic time in nanoseconds.
    pub now: u64,
    /// What this VM shares with others, which have the same here.
    pub shared: Arc<Mutex<Shared>>,
    /// Metrics by their id.
    pub metrics: Vec<Metric>,
    /// What was logged.
    pub logs: Vec<String>,
    /// The tick period of each root context.
    pub ticks: BTreeMap<u32, u32>,
    /// How often each host call was made.
    pub calls: BTreeMap<&'static str, u64>,
    /// Host calls that do nothing but answer this status.
    pub failing: BTreeMap<&'static str, u32>,
    /// Host calls that answer with these bytes, whatever the truth is.
    pub answers: BTreeMap<&'static str, Vec<u8>>,
    /// What the host says about where it wrote, instead of the truth.
    pub lie: Option<(u32, u32)>,
    /// The root context whose callback runs.
    current: u32,
}

/// A metric of the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metric {
    /// 0 counter, 1 gauge.
    pub kind: u32,
    /// Its name, labels in front.
    pub name: String,
    /// Its value.
    pub value: u64,
}

impl Proxy {
    /// A VM without configuration.
    pub fn start() -> Self {
        let (engine, module) = &*MODULE;
        let mut linker = Linker::new(engine);
        calls::link(&mut linker).expect("host calls have one name each");
        let mut store = Store::new(engine, World::default());
        let instance = linker
            .instantiate(&mut store, module)
            .expect("the module imports only what the host has");
        Proxy {
            store,
            instance,
            next_context: 1,
        }
    }

    /// A VM with one configuration, which must be accepted, after its first tick.
    pub fn with(config: &str) -> (Self, u32) {
        let mut proxy = Proxy::start();
        let root = proxy.configure(config.as_bytes()).expect("is accepted");
        proxy.tick(root);
        (proxy, root)
    }

    /// One more VM of the same host, without configuration.
    pub fn beside(other: &mut Proxy) -> Self {
        let mut proxy = Proxy::start();
        proxy.world().shared = Arc::clone(&other.world().shared);
        proxy
    }

    /// What the host holds.
    pub fn world(&mut self) -> &mut World {
        self.store.data_mut()
    }

    /// Creates a root context with this configuration; `None` if the filter refuses it.
    pub fn configure(&mut self, config: &[u8]) -> Option<u32> {
        let root = self.context(0);
        self.reconfigure(root, config).then_some(root)
    }

    /// Gives a root context that exists a configuration.
    pub fn reconfigure(&mut self, root: u32, config: &[u8]) -> bool {
        self.world().config = config.to_vec();
        self.world().current = root;
        let size = u32::try_from(config.len()).expect("fits");
        let started: u32 = self.call("proxy_on_vm_start", (root, 0u32));
        let accepted: u32 = self.call("proxy_on_configure", (root, size));
        assert_eq!(started, 1);
        accepted == 1
    }

    /// Creates a context: a root context without a parent.
    pub fn context(&mut self, parent: u32) -> u32 {
        let context = self.next_context;
        self.next_context += 1;
        self.call::<_, ()>("proxy_on_context_create", (context, parent));
        context
    }

    /// Sends a request; its headers as the next filter sees them.
    pub fn begin(&mut self, root: u32, headers: Fields) -> (u32, Fields) {
        let context = self.context(root);
        self.world().request = headers;
        self.world().left.clear();
        let count = u32::try_from(self.world().request.len()).expect("fits");
        let action: u32 = self.call("proxy_on_request_headers", (context, count, 1u32));
        assert_eq!(action, 0, "the filter never pauses");
        (context, std::mem::take(&mut self.world().request))
    }

    /// Ends a request with a response's status, or without one.
    pub fn end(&mut self, context: u32, status: Option<&str>) {
        self.world().response = status.map(|status| fields(&[(":status", status)]));
        self.call::<_, ()>("proxy_on_log", context);
        self.world().response = None;
    }

    /// A whole request, answered with 200.
    pub fn send(&mut self, root: u32, headers: Fields) -> Fields {
        let (context, seen) = self.begin(root, headers);
        self.end(context, Some("200"));
        seen
    }

    /// A second later, a root context's timer.
    pub fn tick_later(&mut self, root: u32) {
        self.world().now += 1_000_000_000;
        self.tick(root);
    }

    /// A root context's timer.
    pub fn tick(&mut self, root: u32) {
        self.world().current = root;
        self.call::<_, ()>("proxy_on_tick", root);
    }

    /// Calls an export. A trap ends the test: no callback may ever trap.
    pub fn call<P: WasmParams, R: WasmResults>(&mut self, export: &str, arguments: P) -> R {
        let function = self
            .instance
            .get_typed_func::<P, R>(&mut self.store, export)
            .expect("is exported with this signature");
        let result = function.call(&mut self.store, arguments);
        result.unwrap_or_else(|trap| panic!("{export} trapped: {trap:?}"))
    }

    /// Bytes of the VM's memory.
    pub fn memory(&mut self) -> usize {
        let memory = self.instance.get_memory(&mut self.store, "memory");
        memory.expect("is exported").data_size(&self.store)
    }

    /// The values of the metrics with this name whose labels are all among their own, summed.
    pub fn sum(&mut self, name: &str, labels: &[(&str, &str)]) -> u64 {
        let with = |metric: &&Metric| {
            metric.name.rsplit(";.;").next() == Some(name)
                && labels.iter().all(|(label, value)| {
                    let text = format!("{label}=.={value};.;");
                    metric.name.split_inclusive(";.;").any(|part| part == text)
                })
        };
        let found = self.world().metrics.iter().filter(with);
        found.map(|metric| metric.value).sum()
    }

    /// The names that are defined more than once.
    pub fn defined_again(&mut self) -> Vec<String> {
        let mut seen = BTreeSet::new();
        let names = self.world().metrics.iter().map(|metric| &metric.name);
        names.filter(|name| !seen.insert(*name)).cloned().collect()
    }
}

/// Header fields from text.
pub fn fields(pairs: &[(&str, &str)]) -> Fields {
    let field =
        |(name, value): &(&str, &str)| (name.as_bytes().to_vec(), value.as_bytes().to_vec());
    pairs.iter().map(field).collect()
}

/// A GET of this host and path, with more headers.
pub fn get(host: &str, path: &str, more: &[(&str, &str)]) -> Fields {
    let mut all = vec![
        (":authority", host),
        (":path", path),
        (":method", "GET"),
        (":scheme", "http"),
    ];
    all.extend(more);
    fields(&all)
}

/// The value of a header.
pub fn value<'f>(fields: &'f Fields, name: &str) -> Option<&'f [u8]> {
    let found = fields.iter().find(|(found, _)| found == name.as_bytes());
    found.map(|(_, value)| value.as_slice())
}
