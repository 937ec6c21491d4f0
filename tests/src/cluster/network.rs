//! The network namespace that the whole cluster lives in, so that its fixed addresses and ports
//! collide with nothing.

use std::env;
use std::io::Write;
use std::net::Ipv4Addr;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

/// Where the parts of the control plane listen, and the address of the node.
pub const NODE: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);

/// What addresses of Services are out of. Nobody answers there: callers go through a proxy.
pub(crate) const SERVICES: &str = "10.96.0.0/16";

/// Says to a process that it is in the network, and how one enters it.
pub const INSIDE: &str = "SERIN_TESTS_INSIDE";

/// Every address of the range is local, so a process can listen at one of its own. The API server
/// refuses pods' addresses out of 127.0.0.0/8.
const SET_UP: &str = "link set lo up
addr add 10.77.0.1/16 dev lo
route replace local 10.77.0.0/16 dev lo
route replace local 10.96.0.0/16 dev lo
";

/// Puts this process into a network of its own. It does so by executing itself, so it is to be
/// called first and before any thread starts; it returns in the network.
///
/// # Panics
/// If this machine does not let this user have one.
pub fn enter() {
    if env::var_os(INSIDE).is_none() {
        let error = Command::new("unshare")
            .args(namespaces())
            .arg("--")
            .arg(env::current_exe().expect("the program's own path"))
            .args(env::args_os().skip(1))
            .env(INSIDE, way_in())
            .exec();
        panic!("unshare does not run (it is in util-linux): {error}");
    }
    let ip = Command::new("ip")
        .args(["-batch", "-"])
        .stdin(Stdio::piped())
        .spawn();
    let mut ip = ip.unwrap_or_else(|error| panic!("ip does not run (it is in iproute2): {error}"));
    let mut stdin = ip.stdin.take().expect("is piped");
    stdin.write_all(SET_UP.as_bytes()).expect("ip reads");
    drop(stdin);
    assert!(
        ip.wait().expect("ip ends").success(),
        "ip sets up the network"
    );
}

/// What enters the network of this process from another terminal.
pub fn entrance() -> String {
    let way = env::var(INSIDE).unwrap_or_default();
    format!("nsenter --target {} {way}", std::process::id())
}

/// Root needs the network's namespace only; others get it as root of a user namespace.
fn namespaces() -> &'static [&'static str] {
    match rustix::process::geteuid().is_root() {
        true => &["--net"],
        false => &["--user", "--map-root-user", "--net"],
    }
}

/// The options of nsenter that fit those of unshare.
fn way_in() -> &'static str {
    match rustix::process::geteuid().is_root() {
        true => "--net",
        false => "--user --preserve-credentials --net",
    }
}
