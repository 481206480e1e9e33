//! Development secrets: made once, kept outside the repository's history, read by their owner only.
//!
//! They live in `.neuroglia/<package>/` of the workspace, a folder that ignores itself. A secret
//! reaches the application as a file's name or by standard input, never in its arguments, which
//! every process of the machine can read.

use std::fs::{DirBuilder, OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::Result;
use crate::project::Project;

/// The folder of one application's development state.
pub(crate) struct Vault {
    folder: PathBuf,
}

impl Vault {
    /// Opens the folder, creating what is missing.
    ///
    /// # Errors
    /// When the folder cannot be created or closed to others.
    pub(crate) fn open(project: &Project) -> Result<Self> {
        let folder = open_folder(project)?;
        create_folder(&folder.join("accounts"))?;
        Ok(Self { folder })
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The file of a signing key: 32 random bytes in base64.
    pub(crate) fn signing_key(&self, name: &str) -> Result<PathBuf> {
        let path = self.folder.join(name);
        keep(&path, || Ok(STANDARD.encode(random::<32>()?)))?;
        Ok(path)
    }

    /// The file of a key for Standard Webhooks: the same, with the prefix that says so.
    pub(crate) fn webhook_key(&self, name: &str) -> Result<PathBuf> {
        let path = self.folder.join(name);
        keep(&path, || Ok(format!("whsec_{}", STANDARD.encode(random::<32>()?))))?;
        Ok(path)
    }

    /// The password of a demo account.
    pub(crate) fn password(&self, username: &str) -> Result<String> {
        keep(&self.folder.join("accounts").join(username), || Ok(legible(random::<16>()?)))
    }
}

/// The folder of the workspace for what is kept of an application and belongs to no history.
///
/// # Errors
/// When it cannot be created or closed to others.
pub(crate) fn open_folder(project: &Project) -> Result<PathBuf> {
    let parent = project.root.join(".neuroglia");
    let folder = parent.join(&project.package);
    for folder in [&parent, &folder] {
        create_folder(folder)?;
    }
    let ignore = parent.join(".gitignore");
    if !ignore.exists() {
        std::fs::write(&ignore, "*\n").map_err(|error| failed("write", &ignore, &error))?;
    }
    Ok(folder)
}

/// The content of a secret's file, which is made when there is none.
fn keep(path: &Path, make: impl FnOnce() -> Result<String>) -> Result<String> {
    match std::fs::read_to_string(path) {
        Ok(text) if !text.trim().is_empty() => {
            close_to_others(path, 0o600)?;
            Ok(text.trim().to_owned())
        }
        Ok(_) => create(path, &make()?),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => create(path, &make()?),
        Err(error) => Err(failed("read", path, &error)),
    }
}

/// Writes beside the file and renames, so that an interrupted start leaves no half secret.
fn create(path: &Path, secret: &str) -> Result<String> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{}", std::process::id()));
    let beside = PathBuf::from(beside);
    let written = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&beside)
        .and_then(|mut file| {
            file.write_all(secret.as_bytes())?;
            file.sync_all()
        })
        .and_then(|()| std::fs::rename(&beside, path));
    written.map_err(|error| failed("write", path, &error))?;
    Ok(secret.to_owned())
}

fn create_folder(folder: &Path) -> Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(|error| failed("create", folder, &error))?;
    close_to_others(folder, 0o700)
}

/// Takes away what others may do with a file that was copied or unpacked carelessly.
fn close_to_others(path: &Path, mode: u32) -> Result<()> {
    let found = std::fs::metadata(path).map_err(|error| failed("read", path, &error))?.permissions().mode();
    if found & 0o077 != 0 {
        println!("closing {} to other users (mode was {:o})", path.display(), found & 0o777);
        std::fs::set_permissions(path, Permissions::from_mode(mode))
            .map_err(|error| failed("close", path, &error))?;
    }
    Ok(())
}

fn random<const LENGTH: usize>() -> Result<[u8; LENGTH]> {
    let mut bytes = [0; LENGTH];
    getrandom::fill(&mut bytes).map_err(|error| format!("the machine gives no random bytes: {error}"))?;
    Ok(bytes)
}

/// Five bits of each byte, as groups that are easy to read and to type.
fn legible(bytes: [u8; 16]) -> String {
    // Without the letters that look like others.
    const ALPHABET: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz123456789";
    let mut text = String::with_capacity(19);
    for (index, byte) in bytes.iter().enumerate() {
        if index > 0 && index % 4 == 0 {
            text.push('-');
        }
        text.push(char::from(ALPHABET[usize::from(byte & 31)]));
    }
    text
}

fn failed(what: &str, path: &Path, error: &std::io::Error) -> String {
    format!("cannot {what} {}: {error}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vault() -> (tempfile::TempDir, Vault) {
        let root = tempfile::tempdir().expect("a temporary folder");
        let project = Project {
            package: "app".to_owned(),
            folder: root.path().join("app"),
            root: root.path().to_owned(),
            version: "1.0.0".to_owned(),
        };
        let vault = Vault::open(&project).expect("the folder is ours");
        (root, vault)
    }

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).expect("it is there").permissions().mode() & 0o777
    }

    #[test]
    fn secrets_are_made_once_and_closed_to_others() {
        let (root, vault) = vault();
        let key = vault.signing_key("KEY").expect("the folder is ours");
        let made = std::fs::read_to_string(&key).expect("it was written");
        assert_eq!(STANDARD.decode(&made).map(|bytes| bytes.len()), Ok(32));
        assert_eq!((mode(&key), mode(vault.folder())), (0o600, 0o700));
        assert_eq!(
            std::fs::read_to_string(root.path().join(".neuroglia/.gitignore")).ok().as_deref(),
            Some("*\n")
        );

        let password = vault.password("chef@example.com").expect("the folder is ours");
        assert_eq!(password.len(), 19);
        assert_eq!(vault.password("chef@example.com").as_ref(), Ok(&password));
        assert_ne!(vault.password("driver@example.com").as_ref(), Ok(&password));
        vault.signing_key("KEY").expect("it is there");
        assert_eq!(std::fs::read_to_string(&key).ok(), Some(made));
    }

    #[test]
    fn an_open_file_is_closed_and_an_empty_one_is_made_again() {
        let (_root, vault) = vault();
        let key = vault.signing_key("KEY").expect("the folder is ours");
        std::fs::set_permissions(&key, Permissions::from_mode(0o644)).expect("it is ours");
        vault.signing_key("KEY").expect("it is there");
        assert_eq!(mode(&key), 0o600);

        std::fs::write(&key, "\n").expect("it is ours");
        vault.signing_key("KEY").expect("it is made again");
        assert_eq!(std::fs::read_to_string(&key).map(|text| text.len()).ok(), Some(44));
    }
}
