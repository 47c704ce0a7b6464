//! What the program may still do once its interface and its sockets are open: as little as possible.
//!
//! Is told which user to become and which folders must stay writable. Gives up, in this order: the chance of gaining
//! privileges, the capabilities it could ever have, the groups, the user, the capabilities it has, the file system but
//! for those folders (Landlock), and the system calls that nothing here needs (seccomp). All of it is bound to threads,
//! and threads inherit it: so it happens while there is only one.

use std::path::{Path, PathBuf};

use crate::cli::args::Run;
use crate::cli::say;
use crate::cli::service::args::ServiceArgs;
use crate::error::Error;

#[cfg(not(target_os = "linux"))]
use elsewhere::drop;
#[cfg(target_os = "linux")]
use linux::drop;

/// What is left.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Left {
    /// As whom we go on, for messages.
    user: String,
    /// What the system could not do: a clause for each.
    missing: Vec<String>,
}

/// Gives up every privilege: what strangers send is read without any.
pub(crate) fn give_up(as_whom: &ServiceArgs, run: &Run) -> Result<(), Error> {
    let left = drop(as_whom, &folders(&run.output))?;
    if run.verbose {
        say(&format!("sipwhy: goes on as {} without privileges", left.user));
        left.missing.iter().for_each(|missing| say(&format!("sipwhy: {missing}")));
    }
    Ok(())
}

/// Folders in which files are written: those of the reports, and that of temporary files.
fn folders(files: &[PathBuf]) -> Vec<PathBuf> {
    let parent = |file: &PathBuf| match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    };
    let mut folders: Vec<PathBuf> = files.iter().map(parent).collect();
    folders.push(std::env::temp_dir());
    folders.sort();
    folders.dedup();
    folders
}

/// Says at the start what would fail in the end: a folder in which the user that we became may not write.
fn try_folders(folders: &[PathBuf], user: &str) -> Result<(), Error> {
    for folder in folders {
        tempfile::tempfile_in(folder).map_err(|error| {
            privilege(format!(
                "{user} cannot write into {}: {error}; name another folder, another --user, or --allow-root",
                shown(folder)
            ))
        })?;
    }
    Ok(())
}

fn shown(folder: &Path) -> String {
    if folder == Path::new(".") { "the working directory".into() } else { folder.display().to_string() }
}

fn privilege(why: String) -> Error {
    Error::Privilege(why)
}

#[cfg(target_os = "linux")]
mod linux {
    use std::collections::BTreeMap;

    use caps::CapSet;
    use landlock::{
        ABI, AccessFs, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset, RulesetAttr, RulesetCreatedAttr,
        RulesetStatus,
    };
    use nix::sys::prctl;
    use nix::unistd::{Gid, Uid, User, getgid, getuid, setgroups, setresgid, setresuid};
    use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch};

    use super::{Error, Left, PathBuf, ServiceArgs, privilege, try_folders};

    /// Gives up every privilege. What is in `folders` stays writable.
    pub(super) fn drop(args: &ServiceArgs, folders: &[PathBuf]) -> Result<Left, Error> {
        refuse_threads()?;
        let cannot = |what: &str, why: String| privilege(format!("cannot {what}: {why}"));
        prctl::set_no_new_privs().map_err(|error| cannot("forbid new privileges", error.to_string()))?;
        let mut missing = Vec::new();
        let user = if getuid().is_root() && !args.allow_root {
            // Only who may set capabilities may take them from the bounding set; that there is none left to take, and
            // that no_new_privs stands before it, is as good.
            if caps::clear(None, CapSet::Bounding).is_err() {
                missing.push("the bounding set of capabilities stays as it is".to_owned());
            }
            become_user(&whom(args)?)?
        } else {
            stay(args)?
        };
        if !args.allow_root {
            clear_capabilities().map_err(|error| cannot("give up capabilities", error))?;
        }
        try_folders(folders, &user)?;
        missing.extend(restrict_files(folders));
        missing.extend(restrict_calls());
        Ok(Left { user, missing })
    }

    /// What is done to one thread is not done to the others.
    fn refuse_threads() -> Result<(), Error> {
        let threads = std::fs::read_dir("/proc/self/task").map_or(1, Iterator::count);
        if threads > 1 {
            return Err(privilege(format!("{threads} threads run already")));
        }
        Ok(())
    }

    /// Whom root becomes: who is named, who called sudo, nobody.
    fn whom(args: &ServiceArgs) -> Result<User, Error> {
        if let Some(name) = &args.user {
            let user = match name.parse::<u32>() {
                Ok(number) => User::from_uid(Uid::from_raw(number)),
                Err(_) => User::from_name(name),
            };
            let user = user.ok().flatten().ok_or_else(|| Error::Usage(format!("--user {name}: no such user")))?;
            if user.uid.is_root() {
                return Err(Error::Usage(format!("--user {name} is root: --allow-root stays root")));
            }
            return Ok(user);
        }
        let number = |name: &str| std::env::var(name).ok()?.parse::<u32>().ok();
        let caller = number("SUDO_UID").map(Uid::from_raw).filter(|uid| !uid.is_root());
        if let Some(user) = caller.and_then(|uid| User::from_uid(uid).ok().flatten()) {
            return Ok(user);
        }
        User::from_name("nobody")
            .ok()
            .flatten()
            .ok_or_else(|| privilege("there is no user nobody to become; name one with --user, or --allow-root".into()))
    }

    fn become_user(user: &User) -> Result<String, Error> {
        let (uid, gid) = (user.uid, user.gid);
        let changed = setgroups(&[gid]).and_then(|()| setresgid(gid, gid, gid)).and_then(|()| setresuid(uid, uid, uid));
        changed.map_err(|error| {
            privilege(format!(
                "cannot become {}: {error}; start as that user with CAP_NET_RAW alone, or --allow-root",
                user.name
            ))
        })?;
        // A way back would make all of it worthless.
        let root = Uid::from_raw(0);
        if getuid().is_root() || setresuid(root, root, root).is_ok() {
            return Err(privilege(format!("became {}, and could become root again", user.name)));
        }
        Ok(user.name.clone())
    }

    /// Goes on as who we are: not root, or root because that was asked for.
    fn stay(args: &ServiceArgs) -> Result<String, Error> {
        let own = User::from_uid(getuid()).ok().flatten();
        let own_name = own.map_or_else(|| format!("user {}", getuid()), |user| user.name);
        if let Some(name) = &args.user
            && *name != own_name
            && *name != getuid().to_string()
        {
            return Err(Error::Usage(format!("--user {name}: only root can become another user; this is {own_name}")));
        }
        if getuid().is_root() {
            // The groups of a login have no part in a capture.
            let _ = setgroups(&[Gid::from_raw(getgid().as_raw())]);
        }
        Ok(own_name)
    }

    fn clear_capabilities() -> Result<(), String> {
        // Kernels before 4.3 have no ambient set.
        let _ = caps::clear(None, CapSet::Ambient);
        for set in [CapSet::Effective, CapSet::Permitted, CapSet::Inheritable] {
            caps::clear(None, set).map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    /// Nothing can be written, made, removed or executed but beneath these folders; and nothing executed there.
    fn restrict_files(folders: &[PathBuf]) -> Option<String> {
        let writing = AccessFs::from_write(ABI::V5);
        let restricted = Ruleset::default()
            .set_compatibility(CompatLevel::BestEffort)
            .handle_access(writing | AccessFs::Execute)
            .and_then(Ruleset::create)
            .and_then(|ruleset| {
                let opened = folders.iter().filter_map(|folder| PathFd::new(folder).ok());
                let rules = opened.map(|folder| Ok::<_, landlock::RulesetError>(PathBeneath::new(folder, writing)));
                ruleset.add_rules(rules)
            })
            .and_then(|ruleset| ruleset.restrict_self());
        match restricted {
            Ok(status) if status.ruleset == RulesetStatus::NotEnforced => {
                Some("this kernel has no Landlock: files are guarded by their permissions alone".into())
            }
            Ok(_) => None,
            Err(error) => Some(format!("Landlock: {error}")),
        }
    }

    /// System calls that fail from now on: programs, other processes, mounts, modules, clocks.
    fn restrict_calls() -> Option<String> {
        let refused = TargetArch::try_from(std::env::consts::ARCH)
            .map_err(|error| error.to_string())
            .and_then(|arch| filter(arch).map_err(|error| error.to_string()))
            .and_then(|program| seccompiler::apply_filter_all_threads(&program).map_err(|error| error.to_string()));
        refused.err().map(|why| format!("seccomp: {why}"))
    }

    fn filter(arch: TargetArch) -> Result<BpfProgram, seccompiler::BackendError> {
        let numbers = REFUSED.iter().chain(REFUSED_HERE).copied();
        // On x86-64 most calls have a second number, for the ABI with pointers of 32 bits, and a few a third.
        let aliases = |number: i64| [number, number | X32];
        let rules: BTreeMap<i64, Vec<_>> =
            numbers.flat_map(aliases).chain(REFUSED_X32).map(|it| (it, Vec::new())).collect();
        let refusal = SeccompAction::Errno(libc::EPERM.unsigned_abs());
        SeccompFilter::new(rules, SeccompAction::Allow, refusal, arch)?.try_into()
    }

    /// The bit that marks the second number.
    const X32: i64 = 0x4000_0000;
    /// execve, ptrace, process_vm_readv, process_vm_writev, kexec_load and execveat have numbers of their own there.
    const REFUSED_X32: [i64; 6] = [X32 | 520, X32 | 521, X32 | 539, X32 | 540, X32 | 528, X32 | 545];

    const REFUSED: &[i64] = &[
        // Other programs and processes.
        libc::SYS_execve,
        libc::SYS_execveat,
        libc::SYS_ptrace,
        libc::SYS_process_vm_readv,
        libc::SYS_process_vm_writev,
        libc::SYS_pidfd_getfd,
        libc::SYS_kcmp,
        // The tree of files and its namespaces.
        libc::SYS_mount,
        libc::SYS_umount2,
        libc::SYS_pivot_root,
        libc::SYS_chroot,
        libc::SYS_move_mount,
        libc::SYS_open_tree,
        libc::SYS_fsopen,
        libc::SYS_fsmount,
        libc::SYS_fsconfig,
        libc::SYS_fspick,
        libc::SYS_mount_setattr,
        libc::SYS_open_by_handle_at,
        libc::SYS_mknodat,
        libc::SYS_setns,
        libc::SYS_unshare,
        libc::SYS_quotactl,
        libc::SYS_swapon,
        libc::SYS_swapoff,
        // The kernel itself.
        libc::SYS_init_module,
        libc::SYS_finit_module,
        libc::SYS_delete_module,
        libc::SYS_kexec_load,
        libc::SYS_bpf,
        libc::SYS_perf_event_open,
        libc::SYS_userfaultfd,
        libc::SYS_io_uring_setup,
        libc::SYS_io_uring_enter,
        libc::SYS_io_uring_register,
        libc::SYS_syslog,
        libc::SYS_reboot,
        libc::SYS_acct,
        libc::SYS_personality,
        // Keys, names and clocks of the system.
        libc::SYS_add_key,
        libc::SYS_request_key,
        libc::SYS_keyctl,
        libc::SYS_sethostname,
        libc::SYS_setdomainname,
        libc::SYS_settimeofday,
        libc::SYS_clock_settime,
        libc::SYS_clock_adjtime,
        libc::SYS_adjtimex,
    ];

    #[cfg(target_arch = "x86_64")]
    const REFUSED_HERE: &[i64] =
        &[libc::SYS_iopl, libc::SYS_ioperm, libc::SYS_kexec_file_load, libc::SYS_mknod, libc::SYS_modify_ldt];
    #[cfg(not(target_arch = "x86_64"))]
    const REFUSED_HERE: &[i64] = &[];

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn the_filter_can_be_made_for_every_machine() {
            for arch in [TargetArch::x86_64, TargetArch::aarch64] {
                assert!(filter(arch).expect("a filter").len() > REFUSED.len());
            }
        }

        /// What a thread of its own does: both restrictions hold for that thread, and not for the other tests.
        fn in_thread<T: Send + 'static>(does: impl FnOnce() -> T + Send + 'static) -> T {
            std::thread::spawn(does).join().expect("no panic")
        }

        #[test]
        fn no_program_can_be_started() {
            let refused = in_thread(|| {
                let arch = TargetArch::try_from(std::env::consts::ARCH).expect("a known machine");
                seccompiler::apply_filter(&filter(arch).expect("a filter")).expect("seccomp");
                std::process::Command::new("/bin/true").status()
            });
            assert_eq!(refused.expect_err("a refusal").raw_os_error(), Some(libc::EPERM));
        }

        #[test]
        fn only_the_named_folders_can_be_written() {
            let (named, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
            let (inside, outside) = (named.path().join("report.txt"), other.path().join("report.txt"));
            std::fs::write(&outside, "as it was").unwrap();
            let folders = vec![named.path().to_owned()];
            let paths = (inside.clone(), outside.clone());
            let (missing, written, refused, read) = in_thread(move || {
                let missing = restrict_files(&folders);
                let (inside, outside) = paths;
                let beside = inside.with_extension("new");
                let renamed = std::fs::write(&beside, "new").and_then(|()| std::fs::rename(&beside, &inside));
                (missing, renamed, std::fs::write(&outside, "changed"), std::fs::read_to_string(&outside))
            });
            if let Some(missing) = missing {
                eprintln!("skipped: {missing}");
                return;
            }
            written.expect("a report that can be written beside and renamed");
            assert_eq!(refused.expect_err("a refusal").raw_os_error(), Some(libc::EACCES));
            assert_eq!(read.expect("what can be read"), "as it was");
        }

        #[test]
        fn root_is_nobody_whom_root_becomes() {
            let named = |user: &str| whom(&ServiceArgs { user: Some(user.into()), ..ServiceArgs::default() });
            assert_eq!(named("0").expect_err("root").exit_status(), 2);
            assert!(named("sipwhy-none").expect_err("no user").to_string().contains("no such user"));
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod elsewhere {
    use super::{Error, Left, PathBuf, ServiceArgs, privilege, try_folders};

    /// Becomes another user where the system knows such a thing, and does nothing more.
    #[cfg(unix)]
    pub(super) fn drop(args: &ServiceArgs, folders: &[PathBuf]) -> Result<Left, Error> {
        use nix::unistd::{Uid, User, getuid, setgid, setgroups, setuid};
        let missing = vec!["only user and group are given up on this system".to_owned()];
        if !getuid().is_root() || args.allow_root {
            return Ok(Left { user: format!("user {}", getuid()), missing });
        }
        let caller = std::env::var("SUDO_UID").ok().and_then(|uid| uid.parse().ok()).map(Uid::from_raw);
        let user = match (&args.user, caller.filter(|uid| !uid.is_root())) {
            (Some(name), _) => User::from_name(name),
            (None, Some(uid)) => User::from_uid(uid),
            (None, None) => User::from_name("nobody"),
        };
        let user = user.ok().flatten().filter(|user| !user.uid.is_root());
        let user = user.ok_or_else(|| Error::Usage("--user: no such user, or root".into()))?;
        let changed = setgroups(&[user.gid]).and_then(|()| setgid(user.gid)).and_then(|()| setuid(user.uid));
        changed.map_err(|error| privilege(format!("cannot become {}: {error}", user.name)))?;
        try_folders(folders, &user.name)?;
        Ok(Left { user: user.name, missing })
    }

    /// There is nothing to give up.
    #[cfg(not(unix))]
    pub(super) fn drop(_: &ServiceArgs, folders: &[PathBuf]) -> Result<Left, Error> {
        try_folders(folders, "this user")?;
        Ok(Left { user: "this user".into(), missing: Vec::new() })
    }
}
