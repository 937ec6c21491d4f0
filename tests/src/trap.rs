//! A module that traps, which the real one never does.

use wasmparser::{ExternalKind, Parser, Payload, TypeRef};

/// The module, but an exported function of it traps.
pub fn with_a_trap(module: &[u8], export: &str) -> Vec<u8> {
    const UNREACHABLE: u8 = 0x00;
    const NOTHING: u8 = 0x01;
    const END: u8 = 0x0b;
    let (mut imported, mut exported, mut bodies) = (0, None, Vec::new());
    for payload in Parser::new(0).parse_all(module) {
        match payload.expect("is a module") {
            Payload::ImportSection(imports) => {
                let imports = imports
                    .into_imports()
                    .map(|import| import.expect("an import"));
                imported = imports.filter(|i| matches!(i.ty, TypeRef::Func(_))).count();
            }
            Payload::ExportSection(exports) => {
                let mut exports = exports.into_iter().map(|export| export.expect("an export"));
                exported = exports
                    .find(|found| found.name == export && found.kind == ExternalKind::Func)
                    .map(|found| found.index as usize);
            }
            Payload::CodeSectionEntry(body) => bodies.push(body.range()),
            _ => {}
        }
    }
    let body = bodies[exported.expect("is exported") - imported].clone();
    let mut module = module.to_vec();
    let body = &mut module[body];
    body.fill(NOTHING);
    // No locals, then the trap; what is behind it counts as well typed.
    body[..2].copy_from_slice(&[0, UNREACHABLE]);
    *body.last_mut().expect("has an end") = END;
    module
}
