//! The host calls, by their names in proxy-wasm ABI 0.2.1 and WASI preview 1, and the memory that
//! the host writes its answers to. Nothing that the host says is trusted: an answer is only ever
//! read inside the memory that was handed out for it.
#![expect(unsafe_code, reason = "imported functions take pointers")]

use crate::pairs::Pairs;
use std::cell::RefCell;

/// A host call that did not do what it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HostError;

/// What a metric is to the host.
#[derive(Clone, Copy, Debug)]
#[repr(u32)]
pub(crate) enum Kind {
    /// Only ever grows.
    Counter = 0,
    /// Is what was last recorded.
    Gauge = 1,
}

const OK: u32 = 0;
const NOT_FOUND: u32 = 1;
const CAS_MISMATCH: u32 = 8;
const REQUEST_HEADERS: u32 = 0;
const RESPONSE_HEADERS: u32 = 2;
const PLUGIN_CONFIGURATION: u32 = 7;
const LOG_ERROR: u32 = 4;
const CLOCK_MONOTONIC: u32 = 1;

unsafe extern "C" {
    fn proxy_log(level: u32, message: *const u8, size: usize) -> u32;
    fn proxy_set_tick_period_milliseconds(period: u32) -> u32;
    fn proxy_get_buffer_bytes(
        buffer: u32,
        start: usize,
        longest: usize,
        data: *mut *const u8,
        size: *mut usize,
    ) -> u32;
    fn proxy_get_header_map_pairs(map: u32, data: *mut *const u8, size: *mut usize) -> u32;
    fn proxy_get_header_map_value(
        map: u32,
        key: *const u8,
        key_size: usize,
        data: *mut *const u8,
        size: *mut usize,
    ) -> u32;
    fn proxy_replace_header_map_value(
        map: u32,
        key: *const u8,
        key_size: usize,
        value: *const u8,
        value_size: usize,
    ) -> u32;
    fn proxy_remove_header_map_value(map: u32, key: *const u8, key_size: usize) -> u32;
    fn proxy_get_property(
        path: *const u8,
        path_size: usize,
        data: *mut *const u8,
        size: *mut usize,
    ) -> u32;
    fn proxy_set_property(
        path: *const u8,
        path_size: usize,
        value: *const u8,
        value_size: usize,
    ) -> u32;
    fn proxy_define_metric(kind: u32, name: *const u8, size: usize, id: *mut u32) -> u32;
    fn proxy_increment_metric(id: u32, by: i64) -> u32;
    fn proxy_record_metric(id: u32, value: u64) -> u32;
    fn proxy_get_shared_data(
        key: *const u8,
        key_size: usize,
        data: *mut *const u8,
        size: *mut usize,
        cas: *mut u32,
    ) -> u32;
    fn proxy_set_shared_data(
        key: *const u8,
        key_size: usize,
        value: *const u8,
        value_size: usize,
        cas: u32,
    ) -> u32;
}

#[link(wasm_import_module = "wasi_snapshot_preview1")]
unsafe extern "C" {
    fn clock_time_get(clock: u32, precision: u64, time: *mut u64) -> u32;
}

/// Reads the request's headers where the host wrote them. A buffer that is not what the ABI says
/// is an error like any other.
pub(crate) fn request_headers<R>(read: impl FnOnce(Pairs<'_>) -> R) -> Result<R, HostError> {
    let call = |data: *mut *const u8, size: *mut usize| {
        // SAFETY: both pointers are to variables that outlive the call.
        unsafe { proxy_get_header_map_pairs(REQUEST_HEADERS, data, size) }
    };
    answer(call, |bytes| Pairs::parse(bytes).map(read))?.ok_or(HostError)
}

/// The response's `:status`; `None` if there was no response.
pub(crate) fn response_status() -> Result<Option<u16>, HostError> {
    const STATUS: &[u8] = b":status";
    let mut absent = false;
    let call = |data: *mut *const u8, size: *mut usize| {
        // SAFETY: the key is static, both pointers are to variables that outlive the call.
        let status = unsafe {
            proxy_get_header_map_value(RESPONSE_HEADERS, STATUS.as_ptr(), STATUS.len(), data, size)
        };
        absent = status == NOT_FOUND;
        if absent { OK } else { status }
    };
    match answer(call, code)? {
        _ if absent => Ok(None),
        Some(code) => Ok(Some(code)),
        None => Err(HostError),
    }
}

/// Three digits, as HTTP has it.
fn code(text: &[u8]) -> Option<u16> {
    let [a, b, c] = text else { return None };
    let digit = |byte: &u8| {
        char::from(*byte)
            .to_digit(10)
            .and_then(|d| u16::try_from(d).ok())
    };
    Some(digit(a)? * 100 + digit(b)? * 10 + digit(c)?)
}

/// Reads this root context's configuration.
pub(crate) fn configuration<R>(size: usize, read: impl FnOnce(&[u8]) -> R) -> Result<R, HostError> {
    let call = |data: *mut *const u8, written: *mut usize| {
        // SAFETY: both pointers are to variables that outlive the call.
        unsafe { proxy_get_buffer_bytes(PLUGIN_CONFIGURATION, 0, size, data, written) }
    };
    answer(call, read)
}

/// A text in the metadata of Envoy's own node; `None` if there is none there, or it is no UTF-8.
pub(crate) fn node_metadata(path: &[&str]) -> Result<Option<String>, HostError> {
    // The parts of a property's path are joined by zeros.
    let path = [&["xds", "node", "metadata"][..], path].concat().join("\0");
    let mut absent = false;
    let call = |data: *mut *const u8, size: *mut usize| {
        // SAFETY: the path is a live string, both pointers are to variables that outlive the call.
        let status = unsafe { proxy_get_property(path.as_ptr(), path.len(), data, size) };
        absent = status == NOT_FOUND;
        if absent { OK } else { status }
    };
    let text = answer(call, |bytes| {
        std::str::from_utf8(bytes).ok().map(str::to_string)
    })?;
    Ok(text.filter(|_| !absent))
}

/// Leaves a value with the request: Envoy's filter state `wasm.<name>`, there until the request is
/// logged.
pub(crate) fn set_property(name: &str, value: &str) -> Result<(), HostError> {
    // SAFETY: pointers and sizes are those of live strings.
    done(unsafe { proxy_set_property(name.as_ptr(), name.len(), value.as_ptr(), value.len()) })
}

/// Writes a request header over all that have its name. Envoy selects the route again by itself.
pub(crate) fn replace_request_header(name: &str, value: &str) -> Result<(), HostError> {
    // SAFETY: pointers and sizes are those of live strings.
    done(unsafe {
        proxy_replace_header_map_value(
            REQUEST_HEADERS,
            name.as_ptr(),
            name.len(),
            value.as_ptr(),
            value.len(),
        )
    })
}

/// Removes every request header of this name.
pub(crate) fn remove_request_header(name: &str) -> Result<(), HostError> {
    // SAFETY: pointer and size are those of a live string.
    done(unsafe { proxy_remove_header_map_value(REQUEST_HEADERS, name.as_ptr(), name.len()) })
}

/// A clock that never goes back, in nanoseconds.
pub(crate) fn monotonic() -> Result<u64, HostError> {
    let mut time = 0;
    // SAFETY: the pointer is to a variable that outlives the call.
    done(unsafe { clock_time_get(CLOCK_MONOTONIC, 0, &mut time) }).map(|()| time)
}

/// Gives a metric its id. Each call takes memory in the host that it never frees, so a name is to
/// be defined once for the life of the VM.
pub(crate) fn define(kind: Kind, name: &str) -> Result<u32, HostError> {
    let mut id = 0;
    // SAFETY: pointers and size are those of live values.
    done(unsafe { proxy_define_metric(kind as u32, name.as_ptr(), name.len(), &mut id) })
        .map(|()| id)
}

/// Adds to a counter.
pub(crate) fn increment(id: u32, by: u64) -> Result<(), HostError> {
    let by = i64::try_from(by).map_err(|_| HostError)?;
    // SAFETY: takes no pointer.
    done(unsafe { proxy_increment_metric(id, by) })
}

/// Sets a gauge.
pub(crate) fn record(id: u32, value: u64) -> Result<(), HostError> {
    // SAFETY: takes no pointer.
    done(unsafe { proxy_record_metric(id, value) })
}

/// Which write of a shared value was read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Version(u32);

/// Nothing was there to read. The host takes a first value whatever it is given, and this one it
/// has not given to any other, so of two that write a first value one is told.
const NONE_YET: Version = Version(u32::MAX);

/// Reads what the VMs of this host share under a key, where there is nothing an empty value.
pub(crate) fn shared<R>(
    key: &str,
    read: impl FnOnce(&[u8]) -> R,
) -> Result<(R, Version), HostError> {
    let mut version = NONE_YET;
    let call = |data: *mut *const u8, size: *mut usize| {
        // SAFETY: the key is a live string, the pointers are to variables that outlive the call.
        let status =
            unsafe { proxy_get_shared_data(key.as_ptr(), key.len(), data, size, &mut version.0) };
        if status == NOT_FOUND { OK } else { status }
    };
    let value = answer(call, read)?;
    Ok((value, version))
}

/// Writes it, unless somebody has since that version was read: then it says `false`.
pub(crate) fn share(key: &str, value: &[u8], version: Version) -> Result<bool, HostError> {
    // SAFETY: pointers and sizes are those of live values.
    let status = unsafe {
        proxy_set_shared_data(
            key.as_ptr(),
            key.len(),
            value.as_ptr(),
            value.len(),
            version.0,
        )
    };
    match status {
        CAS_MISMATCH => Ok(false),
        status => done(status).map(|()| true),
    }
}

/// Has this root context's `on_tick` called once per period.
pub(crate) fn tick_every(milliseconds: u32) -> Result<(), HostError> {
    // SAFETY: takes no pointer.
    done(unsafe { proxy_set_tick_period_milliseconds(milliseconds) })
}

/// Writes to the proxy's log.
pub(crate) fn log_error(message: &str) {
    // A message that cannot be logged has nowhere to be reported.
    // SAFETY: pointer and size are those of a live string.
    let _ = unsafe { proxy_log(LOG_ERROR, message.as_ptr(), message.len()) };
}

fn done(status: u32) -> Result<(), HostError> {
    if status == OK { Ok(()) } else { Err(HostError) }
}

/// Makes a host call that answers with bytes, and reads them where they are.
fn answer<R>(
    call: impl FnOnce(*mut *const u8, *mut usize) -> u32,
    read: impl FnOnce(&[u8]) -> R,
) -> Result<R, HostError> {
    let mut data = std::ptr::null();
    let mut size = 0;
    done(call(&mut data, &mut size))?;
    MEMORY.with(|memory| {
        let memory = memory.try_borrow().map_err(|_| HostError)?;
        memory.written(data, size).map(read).ok_or(HostError)
    })
}

/// Hands memory to the host for one answer; null if there is none.
pub(crate) fn allocate(size: usize) -> *mut u8 {
    MEMORY.with(|memory| match memory.try_borrow_mut() {
        Ok(mut memory) => memory.hand_out(size),
        Err(_) => std::ptr::null_mut(),
    })
}

thread_local! {
    static MEMORY: RefCell<Memory> = const {
        RefCell::new(Memory { scratch: [0; SCRATCH], large: Vec::new() })
    };
}

/// Answers of usual size: a request's headers are rarely above 8 KiB.
const SCRATCH: usize = 16 * 1_024;

/// Where the host writes. No host call answers with more than one buffer, and each answer is read
/// before the next call, so one place serves them all.
struct Memory {
    scratch: [u8; SCRATCH],
    /// For an answer above [`SCRATCH`], given back at the next one.
    large: Vec<u8>,
}

impl Memory {
    fn hand_out(&mut self, size: usize) -> *mut u8 {
        if !self.large.is_empty() {
            self.large = Vec::new();
        }
        if size <= SCRATCH {
            return self.scratch.as_mut_ptr();
        }
        if self.large.try_reserve_exact(size).is_err() {
            return std::ptr::null_mut();
        }
        self.large.resize(size, 0);
        self.large.as_mut_ptr()
    }

    fn written(&self, data: *const u8, size: usize) -> Option<&[u8]> {
        if size == 0 {
            Some(&[])
        } else if data == self.scratch.as_ptr() {
            self.scratch.get(..size)
        } else if data == self.large.as_ptr() {
            self.large.get(..size)
        } else {
            None
        }
    }
}
