//! `neuroglia new`: a small application that compiles, passes its test, and is what the audit asks for.
//!
//! It is the least that shows how an application reads: a setting, messages with their handlers, routes, a store, an
//! event that a worker takes up, a test by the users' door, and two deploys.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::Result;
use crate::build::write;

/// The files, by the path that they get. Their own names end differently, so that no tool takes them for a package.
const FILES: [(&str, &str); 11] = [
    ("Cargo.toml", include_str!("../templates/app/Cargo.toml.txt")),
    ("src/main.rs", include_str!("../templates/app/src/main.rs.txt")),
    ("src/lib.rs", include_str!("../templates/app/src/lib.rs.txt")),
    ("src/guest_book.rs", include_str!("../templates/app/src/guest_book.rs.txt")),
    ("tests/it/main.rs", include_str!("../templates/app/tests/it/main.rs.txt")),
    ("Procfile", include_str!("../templates/app/Procfile.txt")),
    ("deployment/dev/app.env", include_str!("../templates/app/deployment/dev/app.env.txt")),
    ("deployment/local/app.env", include_str!("../templates/app/deployment/local/app.env.txt")),
    ("deployment/production/app.env", include_str!("../templates/app/deployment/production/app.env.txt")),
    (".gitignore", include_str!("../templates/app/gitignore.txt")),
    ("README.md", include_str!("../templates/app/README.md.txt")),
];

/// What `neuroglia new` can be told.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The name of the application, in lower case with hyphens
    name: String,
    #[command(flatten)]
    framework: Framework,
    /// Its folder; otherwise one of its name here
    #[arg(long, value_name = "FOLDER")]
    into: Option<PathBuf>,
}

/// Where the framework comes from.
#[derive(clap::Args)]
#[group(required = true, multiple = false)]
struct Framework {
    /// The repository of the framework on this machine
    #[arg(long, value_name = "FOLDER")]
    path: Option<PathBuf>,
    /// The repository of the framework by its address
    #[arg(long, value_name = "URL")]
    git: Option<String>,
}

/// Makes the application.
pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let name = arguments.name.as_str();
    check_name(name)?;
    let folder = arguments.into.clone().unwrap_or_else(|| PathBuf::from(name));
    if folder.read_dir().is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(format!("there is something in {} already: choose another folder", folder.display()));
    }
    let source = |package: &str| arguments.framework.source(package);
    let (framework, backing) = (source("neuroglia")?, source("neuroglia-backing")?);
    let testing = source("neuroglia-testing")?;
    let install = arguments.framework.install()?;
    for (path, template) in FILES {
        let text = template
            .replace("@name@", name)
            .replace("@crate@", &name.replace('-', "_"))
            .replace("@framework@", &framework)
            .replace("@backing@", &backing)
            .replace("@testing@", &testing)
            .replace("@install@", &install);
        let file = folder.join(path);
        let parent = file.parent().unwrap_or(&folder);
        std::fs::create_dir_all(parent)
            .map_err(|error| format!("cannot create {}: {error}", parent.display()))?;
        write(&file, &text)?;
    }
    println!("{name} is in {}; README.md there says how to go on", folder.display());
    Ok(ExitCode::SUCCESS)
}

impl Framework {
    /// What a manifest says of a package of the framework.
    fn source(&self, package: &str) -> Result<String> {
        Ok(match self.place(package)? {
            Place::Folder(folder) => format!("path = {}", quoted(&folder)),
            Place::Address(url) => format!("git = {}", quoted(Path::new(url))),
        })
    }

    /// The command that installs the executable that this is.
    fn install(&self) -> Result<String> {
        let package = env!("CARGO_PKG_NAME");
        Ok(match self.place(package)? {
            Place::Folder(folder) => {
                format!("cargo install --locked --path {}", word(&folder.display().to_string()))
            }
            Place::Address(url) => format!("cargo install --locked --git {} {package}", word(url)),
        })
    }

    fn place(&self, package: &str) -> Result<Place<'_>> {
        match (&self.path, &self.git) {
            (Some(root), _) => {
                let folder = root.join("crates").join(package);
                let folder = folder.canonicalize().ok().filter(|folder| folder.join("Cargo.toml").is_file());
                let folder = folder.map(Place::Folder);
                folder.ok_or_else(|| format!("{} is not the framework's repository", root.display()))
            }
            (None, Some(url)) => Ok(Place::Address(url)),
            (None, None) => Err("say where the framework is, by --path or --git".to_owned()),
        }
    }
}

/// Where a package of the framework is.
enum Place<'a> {
    Folder(PathBuf),
    Address(&'a str),
}

/// One word of a shell.
fn word(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-:@%+=,".contains(&byte);
    if !text.is_empty() && text.bytes().all(is_plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// A string of TOML.
fn quoted(text: &Path) -> String {
    serde_json::Value::from(text.display().to_string()).to_string()
}

fn check_name(name: &str) -> Result<()> {
    let is_plain =
        |character: char| character.is_ascii_lowercase() || character.is_ascii_digit() || character == '-';
    let begins_well = name.starts_with(|first: char| first.is_ascii_lowercase());
    if begins_well && name.chars().all(is_plain) && !name.ends_with('-') && name != "neuroglia" {
        return Ok(());
    }
    Err(format!(
        "`{name}` is no name for an application: use lower-case letters, digits and hyphens, as in my-shop"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_can_be_an_executable_and_a_label() {
        for name in ["shop", "my-shop", "shop2"] {
            assert_eq!(check_name(name), Ok(()), "{name}");
        }
        for name in ["", "Shop", "2shop", "my_shop", "-shop", "shop-", "neuroglia", "a b"] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }

    #[test]
    fn a_shell_takes_a_folder_for_one_word() {
        assert_eq!(word("/home/ada/neuroglia"), "/home/ada/neuroglia");
        assert_eq!(word("/home/ada/my work"), "'/home/ada/my work'");
        assert_eq!(word("it's"), r"'it'\''s'");
    }

    #[test]
    fn the_framework_is_a_folder_or_an_address() {
        let git = Framework { path: None, git: Some("https://example.com/n.git".to_owned()) };
        assert_eq!(git.source("neuroglia").as_deref(), Ok("git = \"https://example.com/n.git\""));
        let install = "cargo install --locked --git https://example.com/n.git neuroglia-cli";
        assert_eq!(git.install().as_deref(), Ok(install));
        let nowhere = Framework { path: Some(PathBuf::from("/nonexistent")), git: None };
        assert!(nowhere.source("neuroglia").is_err_and(|failure| failure.contains("repository")));
    }
}
