//! Looks for libpcap, which live capture and BPF need.
fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-check-cfg=cfg(have_libpcap)");
}
