//! A linked module in, the module that ships out: without custom sections, and with no export but
//! the memory and the callbacks. The linker exports some globals whether asked to or not.

const HEADER: usize = 8;
const CUSTOM: u8 = 0;
const EXPORTS: u8 = 7;
const FUNCTION: u8 = 0;
const MEMORY: u8 = 2;

/// `None` for bytes that are no module.
pub(crate) fn strip(module: &[u8]) -> Option<Vec<u8>> {
    let (header, mut rest) = module.split_at_checked(HEADER)?;
    let mut out = header.to_vec();
    while let Some((id, after)) = rest.split_first() {
        let (section, next) = sized(after)?;
        match *id {
            CUSTOM => {}
            EXPORTS => push_section(&mut out, EXPORTS, &exports(section)?),
            id => push_section(&mut out, id, section),
        }
        rest = next;
    }
    Some(out)
}

/// The exports that are to stay, as a section's content.
fn exports(section: &[u8]) -> Option<Vec<u8>> {
    let (count, mut rest) = number(section)?;
    let mut kept: Vec<u8> = Vec::new();
    let mut keep = 0;
    for _ in 0..count {
        let (name, after) = sized(rest)?;
        let (kind, after) = after.split_first()?;
        let (_, after) = number(after)?;
        if matches!(*kind, FUNCTION | MEMORY) && !name.starts_with(b"__") {
            kept.extend(rest.get(..rest.len() - after.len())?);
            keep += 1;
        }
        rest = after;
    }
    let mut out = Vec::new();
    push_number(&mut out, keep);
    out.extend(kept);
    Some(out)
}

fn push_section(out: &mut Vec<u8>, id: u8, content: &[u8]) {
    out.push(id);
    push_number(out, content.len());
    out.extend(content);
}

/// Bytes behind their length.
fn sized(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (size, rest) = number(bytes)?;
    rest.split_at_checked(size)
}

/// A LEB128 number.
fn number(mut bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut value = 0;
    for shift in (0..32).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        value |= usize::from(byte & 0x7f) << shift;
        bytes = rest;
        if byte & 0x80 == 0 {
            return Some((value, bytes));
        }
    }
    None
}

fn push_number(out: &mut Vec<u8>, mut value: usize) {
    loop {
        let byte = u8::try_from(value & 0x7f).unwrap_or_default();
        value >>= 7;
        if value == 0 {
            return out.push(byte);
        }
        out.push(byte | 0x80);
    }
}
