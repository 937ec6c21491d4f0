//! The callbacks of proxy-wasm ABI 0.2.1 that this module exports. One that is absent costs the
//! proxy nothing, so there is none that the filter can do without.
#![expect(
    unsafe_code,
    reason = "an exported name must be unique, which only its writer can know"
)]

use crate::host;
use crate::vm::{Vm, with_vm};

const CONTINUE: u32 = 0;
const TRUE: u32 = 1;
const FALSE: u32 = 0;

/// Says which ABI this module speaks.
#[unsafe(no_mangle)]
extern "C" fn proxy_abi_version_0_2_1() {}

/// Gives the host memory for an answer.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_memory_allocate(size: usize) -> *mut u8 {
    host::allocate(size)
}

/// Starts a root context, or, with a parent, a request.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_context_create(context: u32, parent: u32) {
    with_vm((), |vm| match parent {
        0 => vm.start_root(context),
        root => vm.start_stream(context, root),
    });
}

/// The VM's own configuration is not used.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_vm_start(_root: u32, _size: usize) -> u32 {
    TRUE
}

/// Takes a root context's configuration.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_configure(root: u32, size: usize) -> u32 {
    with_vm(FALSE, |vm| u32::from(vm.configure(root, size)))
}

/// Flushes what was counted.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_tick(root: u32) {
    with_vm((), |vm| vm.tick(root));
}

/// Decides where a request goes.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_headers(context: u32, _count: u32, _end: u32) -> u32 {
    with_vm((), |vm| vm.request(context));
    CONTINUE
}

/// Counts a request that is over. Its state ends here: the host logs every request once.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_log(context: u32) {
    with_vm((), |vm: &mut Vm| vm.log(context));
}
