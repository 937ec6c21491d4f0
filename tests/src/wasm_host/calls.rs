//! The host calls, as Envoy answers them.

use super::{Fields, Metric, Shared, World};
use std::sync::{MutexGuard, PoisonError};
use wasmtime::{Caller, Extern, Linker, Memory, Result};

const OK: u32 = 0;
const NOT_FOUND: u32 = 1;
const BAD_ARGUMENT: u32 = 2;
const INVALID_MEMORY_ACCESS: u32 = 6;
const CAS_MISMATCH: u32 = 8;
const INTERNAL_FAILURE: u32 = 10;

type Host<'c> = Caller<'c, World>;

/// Defines every host call that the filter may make; a module that imports another one does not
/// start.
pub(super) fn link(linker: &mut Linker<World>) -> Result<()> {
    linker.func_wrap("env", "proxy_log", log)?;
    linker.func_wrap("env", "proxy_set_tick_period_milliseconds", tick_period)?;
    linker.func_wrap("env", "proxy_get_buffer_bytes", buffer)?;
    linker.func_wrap("env", "proxy_get_header_map_pairs", pairs)?;
    linker.func_wrap("env", "proxy_get_header_map_value", get)?;
    linker.func_wrap("env", "proxy_replace_header_map_value", replace)?;
    linker.func_wrap("env", "proxy_remove_header_map_value", remove)?;
    linker.func_wrap("env", "proxy_get_property", property)?;
    linker.func_wrap("env", "proxy_set_property", set_property)?;
    linker.func_wrap("env", "proxy_define_metric", define)?;
    linker.func_wrap("env", "proxy_increment_metric", increment)?;
    linker.func_wrap("env", "proxy_record_metric", record)?;
    linker.func_wrap("env", "proxy_get_shared_data", shared)?;
    linker.func_wrap("env", "proxy_set_shared_data", share)?;
    linker.func_wrap("wasi_snapshot_preview1", "clock_time_get", clock)?;
    Ok(())
}

/// Counts the call; the status it fails with, if it is to fail.
fn enter(host: &mut Host<'_>, call: &'static str) -> std::result::Result<(), u32> {
    let world = host.data_mut();
    *world.calls.entry(call).or_default() += 1;
    world
        .failing
        .get(call)
        .map_or(Ok(()), |status| Err(*status))
}

/// Runs a host call's body, its status in either case.
macro_rules! host_call {
    ($host:ident, $name:literal, $body:expr) => {
        match enter(&mut $host, $name).and_then(|()| $body) {
            Ok(()) => OK,
            Err(status) => status,
        }
    };
}

fn memory(host: &mut Host<'_>) -> std::result::Result<Memory, u32> {
    let export = host.get_export("memory").and_then(Extern::into_memory);
    export.ok_or(INTERNAL_FAILURE)
}

fn read(host: &mut Host<'_>, at: u32, size: u32) -> std::result::Result<Vec<u8>, u32> {
    let memory = memory(host)?;
    let mut bytes = vec![0; size as usize];
    let read = memory.read(host, at as usize, &mut bytes);
    read.map(|()| bytes).map_err(|_| INVALID_MEMORY_ACCESS)
}

fn write(host: &mut Host<'_>, at: u32, bytes: &[u8]) -> std::result::Result<(), u32> {
    let memory = memory(host)?;
    let written = memory.write(host, at as usize, bytes);
    written.map_err(|_| INVALID_MEMORY_ACCESS)
}

/// Hands bytes to the module: in memory that the module allocates, its place and size written
/// where the module wants them.
fn answer(
    host: &mut Host<'_>,
    call: &'static str,
    truth: Vec<u8>,
    place: (u32, u32),
) -> std::result::Result<(), u32> {
    let bytes = host.data().answers.get(call).cloned().unwrap_or(truth);
    let size = u32::try_from(bytes.len()).map_err(|_| INTERNAL_FAILURE)?;
    let allocate = host.get_export("proxy_on_memory_allocate");
    let allocate = allocate
        .and_then(Extern::into_func)
        .ok_or(INTERNAL_FAILURE)?;
    let allocate = allocate
        .typed::<u32, u32>(&*host)
        .map_err(|_| INTERNAL_FAILURE)?;
    let at = allocate.call(&mut *host, size);
    let at = at.unwrap_or_else(|trap| panic!("proxy_on_memory_allocate trapped: {trap:?}"));
    if at == 0 {
        return Err(INTERNAL_FAILURE);
    }
    write(host, at, &bytes)?;
    let (at, size) = host.data().lie.unwrap_or((at, size));
    write(host, place.0, &at.to_le_bytes())?;
    write(host, place.1, &size.to_le_bytes())
}

fn log(mut host: Host<'_>, _level: u32, at: u32, size: u32) -> u32 {
    host_call!(host, "proxy_log", {
        read(&mut host, at, size).map(|message| {
            let message = String::from_utf8_lossy(&message).into_owned();
            host.data_mut().logs.push(message);
        })
    })
}

fn tick_period(mut host: Host<'_>, period: u32) -> u32 {
    host_call!(host, "proxy_set_tick_period_milliseconds", {
        let world = host.data_mut();
        world.ticks.insert(world.current, period);
        Ok(())
    })
}

fn buffer(mut host: Host<'_>, kind: u32, start: u32, longest: u32, at: u32, size: u32) -> u32 {
    host_call!(host, "proxy_get_buffer_bytes", {
        let config = &host.data().config;
        let end = config.len().min(start.saturating_add(longest) as usize);
        match (kind, config.get(start as usize..end)) {
            (7, Some(bytes)) => {
                let bytes = bytes.to_vec();
                answer(&mut host, "proxy_get_buffer_bytes", bytes, (at, size))
            }
            _ => Err(BAD_ARGUMENT),
        }
    })
}

/// The map of this number. Envoy has the request's headers only in the request's callback; here
/// they are empty then.
fn map(world: &mut World, kind: u32) -> std::result::Result<&mut Fields, u32> {
    match kind {
        0 => Ok(&mut world.request),
        2 => world.response.as_mut().ok_or(NOT_FOUND),
        _ => Err(BAD_ARGUMENT),
    }
}

fn pairs(mut host: Host<'_>, kind: u32, at: u32, size: u32) -> u32 {
    host_call!(host, "proxy_get_header_map_pairs", {
        map(host.data_mut(), kind)
            .map(|fields| encode(fields))
            .and_then(|bytes| answer(&mut host, "proxy_get_header_map_pairs", bytes, (at, size)))
    })
}

/// A map as the ABI encodes it.
pub fn encode(fields: &Fields) -> Vec<u8> {
    let word = |size: usize| u32::try_from(size).expect("fits").to_le_bytes();
    let mut bytes = word(fields.len()).to_vec();
    for (name, value) in fields {
        bytes.extend(word(name.len()));
        bytes.extend(word(value.len()));
    }
    for (name, value) in fields {
        bytes.extend(name.iter().chain(b"\0").chain(value).chain(b"\0"));
    }
    bytes
}

fn get(mut host: Host<'_>, kind: u32, key: u32, key_size: u32, at: u32, size: u32) -> u32 {
    host_call!(host, "proxy_get_header_map_value", {
        read(&mut host, key, key_size).and_then(|key| {
            let fields = map(host.data_mut(), kind)?;
            let found = fields.iter().find(|(name, _)| *name == key);
            let value = found.ok_or(NOT_FOUND)?.1.clone();
            answer(&mut host, "proxy_get_header_map_value", value, (at, size))
        })
    })
}

fn replace(mut host: Host<'_>, kind: u32, key: u32, key_size: u32, at: u32, size: u32) -> u32 {
    host_call!(host, "proxy_replace_header_map_value", {
        read(&mut host, key, key_size).and_then(|key| {
            let value = read(&mut host, at, size)?;
            let fields = map(host.data_mut(), kind)?;
            fields.retain(|(name, _)| *name != key);
            fields.push((key, value));
            Ok(())
        })
    })
}

fn remove(mut host: Host<'_>, kind: u32, key: u32, key_size: u32) -> u32 {
    host_call!(host, "proxy_remove_header_map_value", {
        read(&mut host, key, key_size).and_then(|key| {
            map(host.data_mut(), kind)?.retain(|(name, _)| *name != key);
            Ok(())
        })
    })
}

fn property(mut host: Host<'_>, path: u32, path_size: u32, at: u32, size: u32) -> u32 {
    host_call!(host, "proxy_get_property", {
        read(&mut host, path, path_size).and_then(|path| {
            let found = host.data().properties.get(&path).cloned();
            let value = found.ok_or(NOT_FOUND)?;
            answer(&mut host, "proxy_get_property", value, (at, size))
        })
    })
}

fn set_property(mut host: Host<'_>, path: u32, path_size: u32, at: u32, size: u32) -> u32 {
    host_call!(host, "proxy_set_property", {
        read(&mut host, path, path_size).and_then(|path| {
            let value = read(&mut host, at, size)?;
            host.data_mut().left.insert(path, value);
            Ok(())
        })
    })
}

fn define(mut host: Host<'_>, kind: u32, at: u32, size: u32, id: u32) -> u32 {
    host_call!(host, "proxy_define_metric", {
        read(&mut host, at, size).and_then(|name| {
            let name = String::from_utf8(name).map_err(|_| BAD_ARGUMENT)?;
            let metrics = &mut host.data_mut().metrics;
            let number = u32::try_from(metrics.len()).map_err(|_| INTERNAL_FAILURE)?;
            let value = 0;
            metrics.push(Metric { kind, name, value });
            write(&mut host, id, &number.to_le_bytes())
        })
    })
}

fn increment(mut host: Host<'_>, id: u32, by: i64) -> u32 {
    host_call!(host, "proxy_increment_metric", {
        match (
            host.data_mut().metrics.get_mut(id as usize),
            u64::try_from(by),
        ) {
            (Some(metric), Ok(by)) if metric.kind == 0 => {
                metric.value += by;
                Ok(())
            }
            _ => Err(BAD_ARGUMENT),
        }
    })
}

fn record(mut host: Host<'_>, id: u32, value: u64) -> u32 {
    host_call!(host, "proxy_record_metric", {
        match host.data_mut().metrics.get_mut(id as usize) {
            Some(metric) if metric.kind == 1 => {
                metric.value = value;
                Ok(())
            }
            _ => Err(BAD_ARGUMENT),
        }
    })
}

fn shared(mut host: Host<'_>, key: u32, key_size: u32, at: u32, size: u32, cas: u32) -> u32 {
    host_call!(host, "proxy_get_shared_data", {
        read(&mut host, key, key_size).and_then(|key| {
            let found = lock(&host).get(&key).cloned();
            let (value, version) = found.ok_or(NOT_FOUND)?;
            answer(&mut host, "proxy_get_shared_data", value, (at, size))?;
            write(&mut host, cas, &version.to_le_bytes())
        })
    })
}

/// As Envoy's host: a first value is taken whatever the number, later ones unless it is another's.
fn share(mut host: Host<'_>, key: u32, key_size: u32, at: u32, size: u32, cas: u32) -> u32 {
    host_call!(host, "proxy_set_shared_data", {
        read(&mut host, key, key_size).and_then(|key| {
            let value = read(&mut host, at, size)?;
            let mut shared = lock(&host);
            let last = shared.get(&key).map(|(_, version)| *version);
            if last.is_some_and(|last| cas != 0 && cas != last) {
                return Err(CAS_MISMATCH);
            }
            shared.insert(key, (value, last.unwrap_or_default() + 1));
            Ok(())
        })
    })
}

fn lock<'h>(host: &'h Host<'_>) -> MutexGuard<'h, Shared> {
    let shared = host.data().shared.lock();
    shared.unwrap_or_else(PoisonError::into_inner)
}

fn clock(mut host: Host<'_>, kind: u32, _precision: u64, time: u32) -> u32 {
    host_call!(host, "clock_time_get", {
        match kind {
            1 => {
                let now = host.data().now.to_le_bytes();
                write(&mut host, time, &now)
            }
            _ => Err(BAD_ARGUMENT),
        }
    })
}
