//! Looks for libpcap, which capturing on an interface and BPF filters need. Without it everything else is built.
//!
//! `SIPWHY_LIBPCAP=no` builds without libpcap though it is there; `yes` takes it for granted. `LIBPCAP_LIBDIR` names
//! the folder it is in, for this script as for that of the `pcap` crate.
//!
//! And sets up the allocator of the program, see `src/allocator.c`.

use std::env;
use std::fs;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::process::Stdio;

/// A program that can be linked only if libpcap is there.
const PROBE: &str = r#"
#[link(name = "pcap")]
unsafe extern "C" {
    fn pcap_lib_version() -> *const std::ffi::c_char;
}
fn main() {
    println!("{:?}", unsafe { pcap_lib_version() });
}
"#;

fn main() -> io::Result<()> {
    println!("cargo:rerun-if-changed=build.rs");
    for variable in ["SIPWHY_LIBPCAP", "LIBPCAP_LIBDIR", "PKG_CONFIG_PATH", "LIBRARY_PATH"] {
        println!("cargo:rerun-if-env-changed={variable}");
    }
    // Whoever installs libpcap and builds again must not get what was found before.
    for folder in folders_of_descriptions() {
        println!("cargo:rerun-if-changed={}", folder.display());
    }
    println!("cargo:rustc-check-cfg=cfg(have_libpcap)");
    set_up_allocator();

    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    if is_there(&out)? {
        println!("cargo:rustc-cfg=have_libpcap");
        return Ok(());
    }
    // The `pcap` crate asks the linker for libpcap even where nothing of it is used: an archive of nothing will do.
    let empty = out.join("without-libpcap");
    fs::create_dir_all(&empty)?;
    fs::write(empty.join("libpcap.a"), "!<arch>\n")?;
    println!("cargo:rustc-link-search=native={}", empty.display());
    Ok(())
}

/// Links `src/allocator.c` into the program, as an object of its own: nothing refers to it, so that from a library it would
/// not be taken.
fn set_up_allocator() {
    println!("cargo:rerun-if-changed=src/allocator.c");
    // Other compilers than those of Unix have no constructors; there the allocator keeps its own settings.
    if env::var_os("CARGO_CFG_UNIX").is_none() {
        return;
    }
    let Some(headers) = env::var_os("DEP_MIMALLOC_INCLUDE_DIR") else { return };
    for object in cc::Build::new().file("src/allocator.c").include(headers).compile_intermediates() {
        println!("cargo:rustc-link-arg-bins={}", object.display());
    }
}

fn is_there(out: &Path) -> io::Result<bool> {
    match env::var("SIPWHY_LIBPCAP").as_deref() {
        Ok("yes") => return Ok(true),
        Ok("no") => return Ok(false),
        _ => {}
    }
    let source = out.join("probe.rs");
    fs::write(&source, PROBE)?;
    let mut rustc = Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    rustc.arg("--edition=2024").arg(&source).arg("-o").arg(out.join("probe"));
    rustc.args(folders().iter().map(|folder| format!("-Lnative={folder}")));
    if let Ok(target) = env::var("TARGET") {
        rustc.arg("--target").arg(target);
    }
    if let Ok(linker) = env::var("RUSTC_LINKER") {
        rustc.arg(format!("-Clinker={linker}"));
    }
    rustc.args(env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default().split('\x1f').filter(|flag| !flag.is_empty()));
    let linked = rustc.stdout(Stdio::null()).stderr(Stdio::null()).status();
    Ok(linked.is_ok_and(|status| status.success()))
}

/// Folders to look into beside those of the linker.
fn folders() -> Vec<String> {
    if let Ok(folder) = env::var("LIBPCAP_LIBDIR") {
        return vec![folder];
    }
    let asked = Command::new("pkg-config").args(["--libs-only-L", "libpcap"]).stderr(Stdio::null()).output();
    let Ok(answer) = asked else { return Vec::new() };
    let answer = String::from_utf8_lossy(&answer.stdout).into_owned();
    answer.split_whitespace().filter_map(|flag| flag.strip_prefix("-L")).map(str::to_owned).collect()
}

/// Folders that change when a library for building is installed or removed.
fn folders_of_descriptions() -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> =
        ["/usr/lib", "/usr/lib64", "/usr/local/lib", "/opt/homebrew/lib"].map(PathBuf::from).into();
    if let Ok(architectures) = fs::read_dir("/usr/lib") {
        folders.extend(architectures.flatten().map(|entry| entry.path()));
    }
    folders.sort();
    folders.into_iter().map(|folder| folder.join("pkgconfig")).filter(|folder| folder.is_dir()).collect()
}
