//! `weir.toml`: how `weir serve` is set up. One struct and one file for each section.
//!
//! Rule: what is not understood is refused, with its line and what would be. Paths are those of the file's own folder, so that a
//! server behaves the same from wherever it is started.

mod audit;
mod environments;
mod issuers;
mod load;
mod proxies;
mod rate;
mod releases;
mod server;
mod tenants;

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde::Deserialize;

pub use audit::AuditSection;
pub use environments::EnvironmentsSection;
pub use issuers::{BadIssuer, IssuerSection, KeyFile, Keys, KindOf, TokensSection, is_of_this_machine, key_url};
pub use load::LoadSection;
pub use proxies::{ForwardingHeader, ProxiesSection};
pub use rate::{AddressRates, CallerRates, RateSection, TenantRates};
pub use releases::ReleasesSection;
pub use server::{Isolation, ServerSection, TlsSection};
pub use tenants::TenantsSection;

/// The file that is read where none is named and it is there.
pub const FILE: &str = "weir.toml";
/// The largest file, in bytes.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// All sections. What the file leaves out has its default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where is served, what and how.
    pub server: ServerSection,
    /// Whose tokens are taken.
    #[serde(deserialize_with = "issuers::issuers")]
    pub issuer: Vec<IssuerSection>,
    /// How tokens are taken.
    pub tokens: TokensSection,
    /// How often somebody may ask.
    pub rate: RateSection,
    /// Who may say for whom a connection or a request is.
    pub proxies: ProxiesSection,
    /// What happens when more is asked than can be answered.
    pub load: LoadSection,
    /// Which calls are on record.
    pub audit: AuditSection,
    /// What is asked of a bundle before it runs.
    pub releases: ReleasesSection,
    /// How many tenants there may be, and what each may use.
    pub tenants: TenantsSection,
    /// How many environments an app may have, what each may use, and under which hosts they are.
    pub environments: EnvironmentsSection,
}

/// Why a file is refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The system does not give it out.
    #[error("cannot read {}: {error}", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Nobody writes so much.
    #[error("{} is larger than {FILE_BYTES_MAX} bytes, so it is no configuration", .0.display())]
    TooLarge(PathBuf),
    /// It is no TOML, or says what nobody understands.
    #[error("{}:{line}: {message}", file.display())]
    Malformed {
        /// The file.
        file: PathBuf,
        /// From 1.
        line: usize,
        /// What is wrong there, and what is expected.
        message: String,
    },
}

impl Config {
    /// The configuration that is named, or that of this folder if there is one.
    pub fn find(named: Option<&Path>) -> Result<Self, ConfigError> {
        let default = Path::new(FILE);
        match named {
            Some(file) => Self::read(file),
            None if default.exists() => Self::read(default),
            None => Ok(Self::default()),
        }
    }

    /// Reads a file.
    pub fn read(file: &Path) -> Result<Self, ConfigError> {
        let unreadable = |error| ConfigError::Unreadable { file: file.to_owned(), error };
        let mut text = String::new();
        let opened = File::open(file).map_err(unreadable)?;
        opened.take(FILE_BYTES_MAX + 1).read_to_string(&mut text).map_err(unreadable)?;
        if text.len() as u64 > FILE_BYTES_MAX {
            return Err(ConfigError::TooLarge(file.to_owned()));
        }
        let mut config = Self::parse(&text, file)?;
        let folder = file.parent().unwrap_or(Path::new(""));
        config.server.resolve(folder);
        for path in [&mut config.tenants.secrets, &mut config.environments.secrets].into_iter().flatten() {
            *path = folder.join(&*path);
        }
        config.issuer.iter_mut().for_each(|issuer| issuer.resolve(folder));
        Ok(config)
    }

    /// Reads the text of a file, whose paths stay as they are written.
    pub fn parse(text: &str, file: &Path) -> Result<Self, ConfigError> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let malformed = |line, message: String| ConfigError::Malformed { file: file.to_owned(), line, message };
        let config: Self = toml::from_str(text).map_err(|error| {
            let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            // What the parser says may have lines of its own.
            malformed(before.matches('\n').count() + 1, error.message().trim_end().replace('\n', ": "))
        })?;
        match config.proxies.unused() {
            None => Ok(config),
            Some(message) => {
                let before = text.split("[proxies").next().unwrap_or_default();
                Err(malformed(before.matches('\n').count() + 1, format!("[proxies]: {message}")))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        match Config::parse(text, Path::new(FILE)) {
            Ok(config) => format!("{:?}", config.server.listen),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn mistakes_are_told_with_their_line_and_what_to_do() {
        let table = [
            ("", "127.0.0.1:4000"),
            ("\u{feff}[server]\nlisten = \"[::1]:80\"\n", "[::1]:80"),
            ("\n[server]\nlissten = \"x\"\n", "weir.toml:3: unknown field `lissten`, expected one of `listen`, "),
            ("[serwer]\n", "weir.toml:1: unknown field `serwer`, expected "),
            ("[server]\nlisten = 4000\n", "weir.toml:2: invalid type: integer `4000`, expected "),
            ("[server]\nlisten = \"everywhere\"\n", "weir.toml:2: invalid socket address syntax"),
            ("[server]\nisolation = \"none\"\n", "weir.toml:2: unknown variant `none`, expected `process` or `thread`"),
            ("[server]\nallow_origins = [\"x\"]\n", "weir.toml:2: an origin is a scheme and a host, "),
            ("[server.tls]\ncertificate = \"c.pem\"\n", "weir.toml:1: missing field `key`"),
            ("\n[rate]\nkeys = 0\n", "weir.toml:3: keys = 0 cannot be: write a number from 1 to "),
            ("[rate.address]\nrequests = \"often\"\n", "weir.toml:2: \"often\" is no rate: "),
            (
                "[audit]\ncalls = \"some\"\n",
                "weir.toml:2: unknown variant `some`, expected one of `all`, `failed`, `none`",
            ),
            ("[audit]\nargument = true\n", "weir.toml:2: unknown field `argument`, expected `calls` or `arguments`"),
            ("[load]\nwait_ms = 0\n", "weir.toml:2: wait_ms = 0 cannot be: "),
            ("\n[proxies]\nheader = \"forwarded\"\n", "weir.toml:2: [proxies]: header is read from nobody: "),
            ("[proxies]\ntrusted = [\"x\"]\n", "weir.toml:2: \"x\" is no network: "),
            ("[server\n", "weir.toml:1: "),
            ("[server]\ndata = \"a\"\ndata = \"b\"\n", "weir.toml:3: duplicate key"),
        ];
        for (text, expected) in table {
            let shown = shown(text);
            assert!(shown.starts_with(expected) && !shown.contains('\n'), "{text:?}: {shown}");
        }
    }

    #[test]
    #[allow(clippy::unwrap_used, reason = "tests")]
    fn paths_are_those_of_the_folder_of_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(FILE);
        let text =
            "[server]\ndata = \"data\"\nsecrets = \"/etc/secrets\"\ntls = { certificate = \"c\", key = \"k\" }\n";
        std::fs::write(&file, text).unwrap();
        let server = Config::read(&file).unwrap().server;
        let here = |name: &str| folder.path().join(name);
        assert_eq!(server.data, Some(here("data")));
        assert_eq!(server.secrets, Some(PathBuf::from("/etc/secrets")));
        assert_eq!(server.tls, Some(TlsSection { certificate: here("c"), key: here("k") }));
        assert!(Config::read(&here("none.toml")).unwrap_err().to_string().starts_with("cannot read "));
        std::fs::write(&file, "#".repeat(FILE_BYTES_MAX as usize + 1)).unwrap();
        assert!(Config::read(&file).unwrap_err().to_string().ends_with("so it is no configuration"));
    }
}
