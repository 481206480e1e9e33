//! The demo accounts of an application: `deployment/dev/accounts`.
//!
//! One account a line, `role username name`. An application without the file has none.

use crate::Result;
use crate::project::Project;

/// Somebody who can log in to the development instance.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) role: String,
    pub(crate) username: String,
    pub(crate) name: String,
}

impl Account {
    /// What `admin` is told to create the account; the password comes by standard input.
    ///
    /// One that is there becomes what is told, so that what is printed for it is always true.
    pub(crate) fn create_user_arguments(&self) -> [&str; 9] {
        [
            "create-user",
            "--reset",
            "--username",
            &self.username,
            "--name",
            &self.name,
            "--role",
            &self.role,
            "--password-stdin",
        ]
    }
}

/// Reads the accounts of the project.
///
/// # Errors
/// All lines that are wrong, each with its number.
pub(crate) fn read(project: &Project) -> Result<Vec<Account>> {
    let path = project.folder.join("deployment/dev/accounts");
    match std::fs::read_to_string(&path) {
        Ok(text) => parse(&path.display().to_string(), &text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(format!("cannot read {}: {error}", path.display())),
    }
}

fn parse(shown: &str, text: &str) -> Result<Vec<Account>> {
    let mut accounts: Vec<Account> = Vec::new();
    let mut faults = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let mut words = line.split_whitespace();
        let (role, username) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let name = words.collect::<Vec<_>>().join(" ");
        let is_plain = |character: char| {
            character.is_ascii_alphanumeric() || matches!(character, '@' | '.' | '-' | '_' | '+')
        };
        // A username is also the name of the file that keeps its password.
        let is_username = username.chars().all(is_plain) && !username.starts_with(['.', '-']);
        if name.is_empty() || !is_username {
            faults.push(format!(
                "{shown}:{}: write `role username name`, as in `chef chef@example.com Luigi`",
                index + 1
            ));
        } else if accounts.iter().any(|account| account.username == username) {
            faults.push(format!("{shown}:{}: {username} stands here twice: remove one", index + 1));
        } else {
            accounts.push(Account { role: role.to_owned(), username: username.to_owned(), name });
        }
    }
    if faults.is_empty() { Ok(accounts) } else { Err(faults.join("\n")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_read() {
        let accounts =
            parse("accounts", "# demo\nchef  chef@example.com  Luigi Rossi\n").expect("it is right");
        assert_eq!(
            accounts,
            [Account {
                role: "chef".into(),
                username: "chef@example.com".into(),
                name: "Luigi Rossi".into()
            }]
        );
        assert_eq!(accounts[0].create_user_arguments()[3..6], ["chef@example.com", "--name", "Luigi Rossi"]);
    }

    #[test]
    fn all_faults_are_told() {
        let faults = parse("accounts", "chef chef@example.com\nchef ../chef Luigi\na b c\nd b e\n")
            .expect_err("three are wrong");
        let lines: Vec<_> = faults.lines().filter_map(|line| line.split(": ").next()).collect();
        assert_eq!(lines, ["accounts:1", "accounts:2", "accounts:4"]);
    }
}
