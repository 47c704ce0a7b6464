//! What holds for every run: the configuration file, and names for addresses.
//!
//! The file is `$SIPWHY_CONFIG`, else `sipwhy/config.toml` in `$XDG_CONFIG_HOME` or `~/.config`. What is typed goes
//! before what stands there.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::cli::args::{Look, Run};
use crate::error::Error;
use crate::report::Names;

/// Bytes of a configuration or of a file of names.
const LARGEST: u64 = 4 << 20;

/// The configuration file, and `--names` files, which hold `peers` and `us` alone.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Settings {
    tz: Option<String>,
    lang: Option<String>,
    width: Option<u16>,
    ascii: Option<bool>,
    /// A file of codes' own meanings.
    catalogue: Option<PathBuf>,
    /// Files of names.
    names: Option<PathBuf>,
    #[serde(default)]
    limits: BTreeMap<String, toml::Value>,
    /// Names of others by address.
    #[serde(default)]
    peers: BTreeMap<String, String>,
    /// Names of our own by address.
    #[serde(default)]
    us: BTreeMap<String, String>,
}

/// The names of a run.
pub(crate) fn apply(run: &Run, look: &Look) -> Result<(Run, Look, Names), Error> {
    let (mut run, mut look) = (run.clone(), look.clone());
    let mut names = Names::default();
    if let Some(path) = config_path() {
        let settings = read(&path)?;
        give_names(&mut names, &settings, &path)?;
        if let Some(file) = &settings.names {
            let file = path.parent().unwrap_or(Path::new(".")).join(file);
            give_names(&mut names, &read(&file)?, &file)?;
        }
        settings.give_look(&mut look, &path);
        run.tz = run.tz.or(settings.tz);
        // Limits that are typed come behind, and so go before.
        let set = settings.limits.iter().map(|(name, value)| match value {
            toml::Value::String(text) => format!("{name}={text}"),
            other => format!("{name}={other}"),
        });
        run.limits = set.chain(run.limits).collect();
    }
    if let Some(path) = &run.names {
        let missing = |source| Error::Read { option: "--names", path: path.clone(), source };
        fs::metadata(path).map_err(missing)?;
        give_names(&mut names, &read(path)?, path)?;
    }
    if !run.redact.is_empty() {
        // The name of an address tells whose it is.
        names = Names::default();
    }
    Ok((run, look, names))
}

/// How a page looks that needs no capture.
pub(crate) fn of_pages(look: &Look) -> Result<Look, Error> {
    let mut look = look.clone();
    if let Some(path) = config_path() {
        read(&path)?.give_look(&mut look, &path);
    }
    Ok(look)
}

impl Settings {
    /// Settings of the look that were not typed. A path is taken from the folder of the file in which it stands.
    fn give_look(&self, look: &mut Look, path: &Path) {
        let beside = |file: &PathBuf| path.parent().unwrap_or(Path::new(".")).join(file);
        look.lang = look.lang.take().or_else(|| self.lang.clone());
        look.width = look.width.or(self.width);
        look.ascii |= self.ascii.unwrap_or(false);
        look.catalogue = look.catalogue.take().or_else(|| self.catalogue.as_ref().map(beside));
    }
}

/// The configuration file, if there is one.
fn config_path() -> Option<PathBuf> {
    if let Some(path) = std::env::var_os("SIPWHY_CONFIG") {
        return Some(PathBuf::from(path)).filter(|path| !path.as_os_str().is_empty());
    }
    let folder = std::env::var_os("XDG_CONFIG_HOME").filter(|folder| !folder.is_empty()).map(PathBuf::from);
    let folder = folder.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".config")))?;
    Some(folder.join("sipwhy/config.toml")).filter(|path| path.is_file())
}

fn read(path: &Path) -> Result<Settings, Error> {
    let wrong = |why: String| Error::Usage(format!("{}: {why}", path.display()));
    let size = fs::metadata(path).map_err(|error| wrong(error.to_string()))?.len();
    if size > LARGEST {
        return Err(wrong(format!("{size} bytes are too many for settings")));
    }
    let text = fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    toml::from_str(&text).map_err(|error| wrong(error.to_string().trim_end().replace('\n', " ")))
}

fn give_names(names: &mut Names, settings: &Settings, path: &Path) -> Result<(), Error> {
    for (address, name) in settings.peers.iter().chain(&settings.us) {
        if !names.give(address, name) {
            return Err(Error::Usage(format!(
                "{}: {address:?} is no address; write \"198.51.100.10\" = \"Carrier A\"",
                path.display()
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_does_not_exist_is_refused() {
        assert!(
            toml::from_str::<Settings>("tz = \"UTC\"\n[peers]\n\"192.0.2.1\" = \"a\"\n[limits]\ncalls = 7").is_ok()
        );
        let refused = toml::from_str::<Settings>("timezone = \"UTC\"").unwrap_err().to_string();
        assert!(refused.contains("timezone") && refused.contains("tz"), "{refused}");
    }
}
