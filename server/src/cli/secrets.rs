//! Where the secrets of an app come from: a file that only its owner can reach, and variables of the environment.
//!
//! Each secret comes from one of the two, never from both: nobody shall have to guess which value counts. The file has one
//! secret a line, `NAME=value`; `#` begins a line of comment. A value in double quotes may have `\n`, `\"` and `\\` in it,
//! one in single quotes is taken as it is.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::str;

use clap::Args;
use weir_engine::secrets::{BadSecret, Secrets, VARIABLE_PREFIX};
use weir_schema::outside::{BadSecretName, SecretName};
use zeroize::Zeroizing;

use super::Failure;
use super::private_file::{self, PrivateFileError};

/// The largest file of secrets, in bytes.
const FILE_BYTES_MAX: usize = 1 << 20;

/// To be flattened into the arguments of a command that runs functions.
#[derive(Debug, Args)]
pub struct SecretsArguments {
    /// The secrets of the app, in a file with lines NAME=value that only you can read. [default: those in variables
    /// WEIR_SECRET_NAME of the environment, if any]
    #[arg(long, value_name = "FILE")]
    secrets: Option<PathBuf>,
}

type Values = BTreeMap<SecretName, Zeroizing<String>>;

/// Why secrets are refused. No message repeats anything of a value.
#[derive(Debug, thiserror::Error)]
enum SecretsError {
    #[error(transparent)]
    File(#[from] PrivateFileError),
    #[error("lies in the data folder: keep secrets apart from the data")]
    BesideTheData,
    #[error("is not text: it has one secret a line, NAME=value")]
    NotText,
    #[error("line {0} is no secret: write NAME=value")]
    Line(usize),
    #[error("line {0} has no closing quote, or text behind it")]
    Quote(usize),
    #[error("line {line}: {name}")]
    Name { line: usize, name: BadSecretName },
    #[error("line {line}: {name} stands there twice")]
    Twice { line: usize, name: SecretName },
}

impl SecretsArguments {
    /// What a configuration says.
    pub fn of(secrets: Option<PathBuf>) -> Self {
        Self { secrets }
    }

    /// Reads them. `data` is the data folder, which need not exist yet.
    pub fn read(&self, data: &Path) -> Result<Secrets, Failure> {
        let mut values = environment()?;
        if let Some(file) = &self.secrets {
            for (name, value) in of_file(file, data)? {
                if values.insert(name.clone(), value).is_some() {
                    return Err(Failure::because(format!(
                        "the secret {name} is given twice: take it out of {} or unset {VARIABLE_PREFIX}{name}",
                        file.display()
                    )));
                }
            }
        }
        Secrets::new(values).map_err(|error: BadSecret| Failure::because(format!("the secret {error}")))
    }
}

/// Those in a file alone: the environment is of no tenant.
pub fn of_tenant(file: &Path, data: &Path) -> Result<Secrets, Failure> {
    let values = if file.exists() { of_file(file, data)? } else { Values::new() };
    Secrets::new(values).map_err(|error: BadSecret| Failure::because(format!("the secret {error}")))
}

fn of_file(file: &Path, data: &Path) -> Result<Values, Failure> {
    let failure = |error: SecretsError| Failure::because(format!("{} {error}", file.display()));
    parse(&text_of(file, data).map_err(failure)?).map_err(failure)
}

/// The secrets in the environment.
fn environment() -> Result<Values, Failure> {
    let mut values = Values::new();
    for (variable, value) in env::vars_os() {
        let Some(name) = variable.to_str().and_then(|variable| variable.strip_prefix(VARIABLE_PREFIX)) else {
            continue;
        };
        let bad = |what: &dyn std::fmt::Display| Failure::because(format!("{VARIABLE_PREFIX}{name}: {what}"));
        let value = value.into_string().map_err(|_| bad(&"the value is not text"))?;
        values.insert(name.parse().map_err(|error: BadSecretName| bad(&error))?, Zeroizing::new(value));
    }
    Ok(values)
}

fn text_of(file: &Path, data: &Path) -> Result<Zeroizing<String>, SecretsError> {
    let bytes = private_file::read(file, FILE_BYTES_MAX)?;
    let data = fs::canonicalize(data);
    if data.is_ok_and(|data| fs::canonicalize(file).is_ok_and(|file| file.starts_with(data))) {
        return Err(SecretsError::BesideTheData);
    }
    let text = str::from_utf8(&bytes).map_err(|_| SecretsError::NotText)?;
    Ok(Zeroizing::new(text.to_owned()))
}

fn parse(text: &str) -> Result<Values, SecretsError> {
    let mut values = Values::new();
    for (number, line) in text.lines().enumerate() {
        let (number, line) = (number + 1, line.trim());
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (name, value) = line.split_once('=').ok_or(SecretsError::Line(number))?;
        let name: SecretName = name.trim().parse().map_err(|name| SecretsError::Name { line: number, name })?;
        let value = unquoted(value.trim()).ok_or(SecretsError::Quote(number))?;
        if values.insert(name.clone(), value).is_some() {
            return Err(SecretsError::Twice { line: number, name });
        }
    }
    Ok(values)
}

/// A value without its quotes; `None` where they do not end it.
fn unquoted(value: &str) -> Option<Zeroizing<String>> {
    if let Some(rest) = value.strip_prefix('\'') {
        let inside = rest.strip_suffix('\'')?;
        return (!inside.contains('\'')).then(|| Zeroizing::new(inside.to_owned()));
    }
    let Some(rest) = value.strip_prefix('"') else { return Some(Zeroizing::new(value.to_owned())) };
    let mut inside = Zeroizing::new(String::with_capacity(rest.len()));
    let mut characters = rest.chars();
    loop {
        match characters.next()? {
            '"' => return characters.next().is_none().then_some(inside),
            '\\' => match characters.next()? {
                'n' => inside.push('\n'),
                '\\' => inside.push('\\'),
                '"' => inside.push('"'),
                other => inside.extend(['\\', other]),
            },
            other => inside.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        match parse(text) {
            Ok(values) => values.iter().map(|(name, value)| format!("{name}:{:?} ", value.as_str())).collect(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn a_file_has_a_secret_a_line() {
        let table = [
            ("", ""),
            ("# KEY=1\n\n  \n", ""),
            ("KEY=abc\r\nOTHER = a=b # c \n", "KEY:\"abc\" OTHER:\"a=b # c\" "),
            (r#"KEY="a\nb\"c\\d\e""#, "KEY:\"a\\nb\\\"c\\\\d\\\\e\" "),
            (r"KEY=' a\n '", "KEY:\" a\\\\n \" "),
            ("KEY=", "KEY:\"\" "),
            ("KEY", "line 1 is no secret: write NAME=value"),
            ("\nKEY=\"a", "line 2 has no closing quote, or text behind it"),
            ("KEY=\"a\" b", "line 1 has no closing quote, or text behind it"),
            ("KEY='a'b'", "line 1 has no closing quote, or text behind it"),
            ("KEY='", "line 1 has no closing quote, or text behind it"),
            ("A=1\nA=2", "line 2: A stands there twice"),
        ];
        for (text, expected) in table {
            assert_eq!(shown(text), expected, "{text:?}");
        }
        assert!(shown("key=1").starts_with("line 1: \"key\" is not the name of a secret"));
    }

    #[cfg(unix)]
    #[test]
    #[allow(clippy::unwrap_used, reason = "tests")]
    fn only_a_file_of_ones_own_is_read() {
        use std::os::unix::fs::PermissionsExt;

        let folder = tempfile::tempdir().unwrap();
        let (file, data) = (folder.path().join("secrets"), folder.path().join("data"));
        let permit = |mode| fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        let refusal = |file: &Path, data: &Path| text_of(file, data).err().unwrap().to_string();
        assert!(refusal(&file, &data).starts_with("cannot be read: "));
        assert_eq!(refusal(folder.path(), &data), "is not a file");
        fs::write(&file, "KEY=abc").unwrap();
        for mode in [0o640, 0o604, 0o644] {
            permit(mode);
            let expected = format!("is open to others (mode {mode:03o}): restrict it with chmod 600");
            assert_eq!(refusal(&file, &data), expected);
        }
        permit(0o600);
        assert_eq!(text_of(&file, &data).unwrap().as_str(), "KEY=abc");
        assert_eq!(refusal(&file, folder.path()), "lies in the data folder: keep secrets apart from the data");
        fs::write(&file, [0xff]).unwrap();
        assert_eq!(refusal(&file, &data), "is not text: it has one secret a line, NAME=value");
        fs::write(&file, "#".repeat(FILE_BYTES_MAX + 1)).unwrap();
        assert_eq!(refusal(&file, &data), "is larger than 1048576 bytes");
    }
}
