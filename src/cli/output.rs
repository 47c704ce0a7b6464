//! Where reports go: standard output, and files that are written beside and renamed.

use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::cli::args::Format;
use crate::error::Error;

/// Bytes that are written at a time.
const BUFFER: usize = 64 << 10;

/// The endings of files and their formats.
const ENDINGS: [(&[&str], Format); 10] = [
    (&["txt", "text", "log", "out", ""], Format::Text),
    (&["md", "markdown"], Format::Md),
    (&["html", "htm"], Format::Html),
    (&["json"], Format::Json),
    (&["ndjson", "jsonl"], Format::Ndjson),
    (&["csv"], Format::Csv),
    (&["svg"], Format::Svg),
    (&["mmd", "mermaid"], Format::Mermaid),
    (&["junit", "xml"], Format::Junit),
    (&["pcapng"], Format::Pcapng),
];

/// The format that the ending of a file's name asks for; text for a device or a file without one.
pub(crate) fn format_of(path: &Path) -> Result<Format, Error> {
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default().to_ascii_lowercase();
    let known = ENDINGS.iter().find(|(endings, _)| endings.contains(&ending.as_str()));
    known.map(|(_, format)| *format).ok_or_else(|| {
        let endings: Vec<String> = ENDINGS.iter().map(|(endings, _)| format!(".{}", endings[0])).collect();
        Error::Usage(format!("{}: reports are written as {}, not as .{ending}", path.display(), endings.join(" ")))
    })
}

/// Refuses an output that is one of the inputs, by whatever name.
pub(crate) fn refuse_inputs(outputs: &[PathBuf], inputs: &[PathBuf]) -> Result<(), Error> {
    for output in outputs {
        if let Some(input) = inputs.iter().find(|input| is_same(output, input)) {
            return Err(Error::Usage(format!(
                "{} is the input {}: it would be overwritten; name another file",
                output.display(),
                input.display()
            )));
        }
    }
    Ok(())
}

#[cfg(unix)]
fn is_same(one: &Path, other: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    match (fs::metadata(one), fs::metadata(other)) {
        (Ok(one), Ok(other)) => one.is_file() && (one.dev(), one.ino()) == (other.dev(), other.ino()),
        _ => false,
    }
}

#[cfg(not(unix))]
fn is_same(one: &Path, other: &Path) -> bool {
    match (one.canonicalize(), other.canonicalize()) {
        (Ok(one), Ok(other)) => one == other,
        _ => false,
    }
}

/// A file that gets its name only when all of it is written, so that nobody ever sees half a report.
pub(crate) struct Output {
    path: PathBuf,
    to: To,
}

enum To {
    Beside(BufWriter<tempfile::NamedTempFile>),
    /// A device or a pipe, which must not be replaced.
    Straight(BufWriter<fs::File>),
}

impl Output {
    /// Opens a file beside `path`.
    pub(crate) fn create(path: &Path) -> Result<Output, Error> {
        let failed = |source| Error::WriteReport { path: path.to_owned(), source };
        let to = match fs::metadata(path) {
            Ok(known) if known.is_dir() => return Err(failed(io::ErrorKind::IsADirectory.into())),
            Ok(known) if !known.is_file() => {
                let file = fs::OpenOptions::new().write(true).open(path).map_err(failed)?;
                To::Straight(BufWriter::with_capacity(BUFFER, file))
            }
            _ => To::Beside(BufWriter::with_capacity(BUFFER, beside(path).map_err(failed)?)),
        };
        Ok(Output { path: path.to_owned(), to })
    }

    /// Gives the file its name.
    pub(crate) fn finish(self) -> Result<(), Error> {
        let Output { path, to } = self;
        let finished = match to {
            To::Straight(mut file) => file.flush(),
            To::Beside(file) => file
                .into_inner()
                .map_err(io::IntoInnerError::into_error)
                .and_then(|file| file.persist(&path).map(drop).map_err(|error| error.error)),
        };
        finished.map_err(|source| Error::WriteReport { path, source })
    }

    /// What went wrong while this file was written.
    pub(crate) fn failed(&self, source: io::Error) -> Error {
        Error::WriteReport { path: self.path.clone(), source }
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.to {
            To::Beside(file) => file.write(bytes),
            To::Straight(file) => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.to {
            To::Beside(file) => file.flush(),
            To::Straight(file) => file.flush(),
        }
    }
}

fn beside(path: &Path) -> io::Result<tempfile::NamedTempFile> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    builder.prefix(".sipwhy-");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // Who called whom is nobody else's: whoever wants others to read it says so.
        builder.permissions(fs::Permissions::from_mode(0o600));
    }
    builder.tempfile_in(folder)
}

/// Standard output in large pieces.
pub(crate) fn buffered(out: impl Write + 'static) -> Box<dyn Write> {
    Box::new(BufWriter::with_capacity(BUFFER, out))
}
