//! What a file is, in one line: `sha256:` and its digest.

use std::fmt::Write;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::Result;

/// The digest of these bytes.
pub(crate) fn of_bytes(bytes: &[u8]) -> String {
    shown(&Sha256::digest(bytes))
}

/// The digest of a file's content.
///
/// # Errors
/// When it cannot be read.
pub(crate) fn of_file(path: &Path) -> Result<String> {
    let failed = |error: std::io::Error| format!("cannot read {}: {error}", path.display());
    let mut file = File::open(path).map_err(failed)?;
    let mut digest = Sha256::new();
    let mut buffer = vec![0; 256 * 1024];
    loop {
        match file.read(&mut buffer).map_err(failed)? {
            0 => return Ok(shown(&digest.finalize())),
            length => digest.update(&buffer[..length]),
        }
    }
}

fn shown(digest: &[u8]) -> String {
    digest.iter().fold(String::from("sha256:"), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_and_its_bytes_have_one_digest() {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        std::fs::write(file.path(), "abc").expect("it is ours");
        let known = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(of_bytes(b"abc"), known);
        assert_eq!(of_file(file.path()).as_deref(), Ok(known));
    }
}
