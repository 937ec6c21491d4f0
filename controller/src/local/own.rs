//! Whether a path is this user's alone to change: what others can put in place is neither run nor
//! written to.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use anyhow::Context as _;

/// Refuses a directory that somebody else owns, may write to, or has led us to by a link.
///
/// # Errors
/// Whose it is, and what is expected.
pub(super) fn check_directory(dir: &Path) -> anyhow::Result<()> {
    let shown = dir.display();
    let looked = || format!("look at {shown}");
    let link = fs::symlink_metadata(dir).with_context(looked)?;
    let real = fs::metadata(dir).with_context(looked)?;
    let me = rustix::process::geteuid().as_raw();
    for found in [&link, &real] {
        anyhow::ensure!(
            found.uid() == me,
            "{shown} belongs to user {}, expected a directory of user {me}'s own",
            found.uid()
        );
    }
    anyhow::ensure!(
        !others_write(&real),
        "{shown} has mode {:o}, expected one that only its owner may write to (chmod go-w {shown})",
        real.mode() & 0o777
    );
    Ok(())
}

/// Refuses a file that somebody else owns or may read; `found` is what its open handle says.
///
/// # Errors
/// Whose it is, or its mode, and what is expected.
pub(super) fn check_private_file(file: &Path, found: &Metadata) -> anyhow::Result<()> {
    const OTHERS: u32 = 0o077;
    let shown = file.display();
    anyhow::ensure!(found.is_file(), "{shown} is no file");
    let me = rustix::process::geteuid().as_raw();
    anyhow::ensure!(
        found.uid() == me,
        "{shown} belongs to user {}, expected a file of user {me}'s own",
        found.uid()
    );
    anyhow::ensure!(
        found.mode() & OTHERS == 0,
        "{shown} has mode {:o}, expected one that only its owner may read (chmod 600 {shown})",
        found.mode() & 0o777
    );
    Ok(())
}

/// Whether only this user or root can say what this program is, as far as its file and the two
/// directories around it go.
///
/// # Errors
/// If it is not there.
pub(super) fn is_trusted(program: &Path) -> io::Result<bool> {
    let me = rustix::process::geteuid().as_raw();
    for path in program.ancestors().take(3) {
        let found = fs::metadata(path)?;
        if ![0, me].contains(&found.uid()) || others_write(&found) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn others_write(found: &Metadata) -> bool {
    const GROUP_AND_OTHERS_WRITE: u32 = 0o022;
    found.mode() & GROUP_AND_OTHERS_WRITE != 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn directory(name: &str, mode: u32) -> std::path::PathBuf {
        let dir = std::env::temp_dir().join(format!("serin-own-{name}-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        fs::set_permissions(&dir, fs::Permissions::from_mode(mode)).unwrap();
        dir
    }

    #[test]
    fn a_directory_that_others_may_write_to_is_refused() {
        let dir = directory("state", 0o777);
        let told = check_directory(&dir).unwrap_err().to_string();
        assert!(told.contains("has mode 777, expected"), "{told}");
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o755)).unwrap();
        check_directory(&dir).unwrap();
        fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn a_program_in_a_directory_that_others_may_write_to_is_not_trusted() {
        let dir = directory("tools", 0o755);
        let bin = dir.join("bin");
        fs::create_dir_all(&bin).unwrap();
        let program = bin.join("envoy");
        assert!(is_trusted(&program).is_err());
        fs::write(&program, "").unwrap();
        assert!(is_trusted(&program).unwrap());
        fs::set_permissions(&bin, fs::Permissions::from_mode(0o777)).unwrap();
        assert!(!is_trusted(&program).unwrap());
        fs::remove_dir_all(&dir).unwrap();
    }
}
