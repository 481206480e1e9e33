//! The files of a deploy: what a release takes along beside the variables, such as the certificate of an authority.
//!
//! All that lies in the folder is taken, so that a release needs the source no more, except what is hidden. A link that
//! leads out would let the release depend on what lies there. Secrets stay where they are: what looks like one is refused,
//! as far as that can be seen.

use std::fs;
use std::path::{Path, PathBuf};

use crate::{Result, digest};

/// The largest file that is still configuration.
const BYTES_MAX: u64 = 1024 * 1024;
/// The folder in which files of secrets are wont to be.
const SECRETS: &str = "secrets";
/// How a private key in PEM begins, in two pieces: this file holds none.
const PRIVATE_KEY: (&str, &str) = ("-----BEGIN", "PRIVATE KEY");

/// A file of a deploy.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct DeployFile {
    /// Where it is now.
    pub(crate) path: PathBuf,
    /// Its name below the folder of the deploy.
    pub(crate) name: String,
}

impl DeployFile {
    /// Whether it is read for variables, and is told by them.
    pub(crate) fn has_variables(&self) -> bool {
        !self.name.contains('/')
            && Path::new(&self.name).extension().is_some_and(|extension| extension == "env")
    }

    /// One line that is another when its name or its content is.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) fn digest_line(&self) -> Result<String> {
        Ok(format!("{:?} {}\n", self.name, digest::of_file(&self.path)?))
    }
}

/// All files below the folder of a deploy, by name.
///
/// # Errors
/// When one cannot be read, and for each that a release must not take along: all of them at once.
pub(crate) fn of_folder(folder: &Path) -> Result<Vec<DeployFile>> {
    let root = folder.canonicalize().map_err(|error| cannot_read(folder, &error))?;
    let (mut files, mut faults, mut rooms) = (Vec::new(), Vec::new(), vec![folder.to_owned()]);
    while let Some(room) = rooms.pop() {
        for entry in fs::read_dir(&room).map_err(|error| cannot_read(&room, &error))? {
            let path = entry.map_err(|error| cannot_read(&room, &error))?.path();
            let below = path.strip_prefix(folder).unwrap_or(&path);
            let Some(name) = below.to_str().map(str::to_owned) else {
                faults.push(format!("{} has a name that is not UTF-8: rename it", path.display()));
                continue;
            };
            let last = name.rsplit('/').next().unwrap_or_default();
            if last.starts_with('.') {
                continue;
            }
            if path.is_dir() && !path.is_symlink() {
                if last.eq_ignore_ascii_case(SECRETS) {
                    faults.push(format!("{name}/ holds secrets by its name: keep it outside of the deploy"));
                } else {
                    rooms.push(path);
                }
                continue;
            }
            match fault_of(&path, &root)? {
                Some(fault) => faults.push(format!("{name} {fault}")),
                None => files.push(DeployFile { path, name }),
            }
        }
    }
    if faults.is_empty() {
        files.sort_by(|one, other| one.name.cmp(&other.name));
        return Ok(files);
    }
    faults.sort();
    Err(format!("{} is no configuration\n  {}", folder.display(), faults.join("\n  ")))
}

/// Why a release must not take this along.
fn fault_of(path: &Path, root: &Path) -> Result<Option<String>> {
    let Ok(target) = path.canonicalize() else {
        return Ok(Some("is a link to nothing: put the file itself there".to_owned()));
    };
    if !target.starts_with(root) {
        return Ok(Some("is a link that leads out of the deploy: put the file itself there".to_owned()));
    }
    let metadata = fs::metadata(&target).map_err(|error| cannot_read(path, &error))?;
    if !metadata.is_file() {
        return Ok(Some("is no file: take it away".to_owned()));
    }
    if metadata.len() > BYTES_MAX {
        return Ok(Some(format!(
            "has {} bytes, and configuration has at most {BYTES_MAX}: attach it as a resource",
            metadata.len()
        )));
    }
    let content = fs::read(&target).map_err(|error| cannot_read(path, &error))?;
    let has_key = String::from_utf8_lossy(&content)
        .lines()
        .any(|line| line.contains(PRIVATE_KEY.0) && line.contains(PRIVATE_KEY.1));
    Ok(has_key.then(|| "has a private key: keep it on the machines of the deploy".to_owned()))
}

fn cannot_read(path: &Path, error: &std::io::Error) -> String {
    format!("cannot read {}: {error}", path.display())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn deploy() -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::create_dir(folder.path().join("tls")).expect("the folder is ours");
        for (name, text) in [("app.env", "A=1\n"), ("tls/authority.pem", "-----BEGIN CERTIFICATE-----\n")] {
            fs::write(folder.path().join(name), text).expect("the folder is ours");
        }
        folder
    }

    #[test]
    fn every_file_that_can_be_seen_is_one_of_the_deploy() {
        let folder = deploy();
        fs::write(folder.path().join(".app.env.swp"), "").expect("the folder is ours");
        symlink("authority.pem", folder.path().join("tls/link.pem")).expect("the folder is ours");
        let files = of_folder(folder.path()).expect("all is well");
        let names: Vec<_> = files.iter().map(|file| (file.name.as_str(), file.has_variables())).collect();
        assert_eq!(names, [("app.env", true), ("tls/authority.pem", false), ("tls/link.pem", false)]);
        let lines: Vec<_> = files.iter().map(|file| file.digest_line().expect("it is there")).collect();
        assert!(lines[1] != lines[2], "the name is part of it");
        fs::write(folder.path().join("tls/authority.pem"), "another").expect("the folder is ours");
        assert_ne!(files[1].digest_line().as_ref(), Ok(&lines[1]), "and so is the content");
    }

    #[test]
    fn what_a_release_must_not_hold_is_told_at_once() {
        let folder = deploy();
        let root = folder.path();
        symlink("/etc/hostname", root.join("a")).expect("the folder is ours");
        symlink("nowhere", root.join("b")).expect("the folder is ours");
        symlink("tls", root.join("c")).expect("the folder is ours");
        fs::write(root.join("d"), vec![b'x'; 1024 * 1024 + 1]).expect("the disk has room");
        fs::write(root.join("e"), format!("{} EC {}-----\n", PRIVATE_KEY.0, PRIVATE_KEY.1)).expect("ours");
        fs::create_dir_all(root.join("f/secrets")).expect("the folder is ours");
        let faults = of_folder(root).expect_err("much is wrong");
        let told: Vec<_> = faults.lines().skip(1).map(str::trim).collect();
        for (line, words) in told.iter().zip([
            "a is a link that leads out",
            "b is a link to nothing",
            "c is no file",
            "d has 1048577 bytes",
            "e has a private key",
            "f/secrets/ holds secrets",
        ]) {
            assert!(line.starts_with(words), "{line}: {words}");
        }
        assert_eq!(told.len(), 6, "{faults}");
    }
}
