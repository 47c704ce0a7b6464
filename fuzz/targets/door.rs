//! What libFuzzer invents, fed to the door that `FUZZ_DOOR` names.
#![no_main]

use std::sync::LazyLock;

use sipwhy_fuzz::doors::{DOORS, Door};

static CHOSEN: LazyLock<Door> = LazyLock::new(|| {
    let name = std::env::var("FUZZ_DOOR").unwrap_or_default();
    let known = DOORS.iter().find(|(known, _)| *known == name);
    *known.unwrap_or_else(|| {
        eprintln!("FUZZ_DOOR is {name:?}: set it to the name of a door, see fuzz/src/doors/mod.rs");
        std::process::exit(2);
    })
});

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| CHOSEN.1(bytes));
