//! Runs without end: on interfaces, and on files that are being written.

mod follower;
mod lines;
mod reports;
mod settings;
mod signals;

use std::io;
use std::path::Path;

use crate::capture::{Aside, Digest, Filtered, Following, Interfaces, Room, Source, devices};
use crate::cli::analyse;
use crate::cli::args::{Format, Live, Look, Run, Watching};
use crate::cli::follower::First;
use crate::cli::limits::{self, AllLimits};
use crate::cli::live::follower::{LiveFollower, Parts, Telling, Which};
use crate::cli::live::lines::Lines;
use crate::cli::live::reports::Reports;
use crate::cli::live::settings::Settings;
pub(crate) use crate::cli::live::settings::help;
use crate::cli::live::signals::Signals;
use crate::cli::plan::Plan;
use crate::cli::service::{self, HepListener, HepSockets, Pace, ServiceArgs, Sockets, privilege};
use crate::cli::{complain, keylog, privacy, say, settings as of_all};
use crate::diagnosis::Engine;
use crate::error::Error;
use crate::report::{Events, Gathered, Gatherer, Names, Scene, follow};

/// `sipwhy live`.
pub(crate) fn live(live: &Live, look: &Look) -> Result<u8, Error> {
    let (run, look, names) = &of_all::apply(&live.run, look)?;
    watch(&Asked { interfaces: &live.interface, words: &live.words, watching: &live.watching, run, look, names })
}

/// What was asked for.
pub(crate) struct Asked<'a> {
    pub(crate) interfaces: &'a [String],
    /// Words of a BPF filter.
    pub(crate) words: &'a [String],
    pub(crate) watching: &'a Watching,
    pub(crate) run: &'a Run,
    pub(crate) look: &'a Look,
    pub(crate) names: &'a Names,
}

/// Follows interfaces, or files that are being written.
pub(crate) fn watch(asked: &Asked<'_>) -> Result<u8, Error> {
    let Asked { interfaces, words, watching, run, .. } = asked;
    let words = words.join(" ");
    let filter = run.filter.clone().or((!words.is_empty()).then_some(words));
    let settings = Settings::read(watching, filter)?;
    let limits = AllLimits { held_back: 0, ..limits::read(&run.limits)? };
    let reports = Reports::new(&run.output, settings.rotation, settings.keep)?;
    // A signal that comes while privileges are given up is none too early.
    let signals = Signals::new();
    let input = match (&run.service.hep_listen, &watching.follow) {
        (Some(address), None) if interfaces.is_empty() => Opened::Agents(open_agents(address, &settings, run)?),
        (Some(_), _) => {
            return Err(Error::Usage("--hep-listen is an input of its own: no file and no -i beside it".into()));
        }
        (None, Some(path)) => Opened::Files(open_files(path, &settings, &limits, run)?),
        (None, None) => Opened::Interfaces(Box::new(open_interfaces(interfaces, &settings, run)?), room(&settings)),
    };
    let sockets = Sockets::open(&run.service)?;
    // Every interface and every socket is open here. Who follows files must be able to open the next ones.
    let as_whom = as_whom(&run.service, &settings)?;
    match watching.follow {
        Some(_) => as_whom.refuse_user()?,
        None => privilege::give_up(&as_whom, run)?,
    }
    let source: Box<dyn Source> = match input {
        Opened::Files(source) => source,
        Opened::Interfaces(source, room) => Box::new(Aside::new(source, room)),
        Opened::Agents(sockets) => listen(sockets, run),
    };
    let source = First::of(source, run.count);
    go(source, sockets, signals, reports, &settings, &limits, asked)
}

/// The user that is named, by an option of its own or by `--live`.
fn as_whom(args: &ServiceArgs, settings: &Settings) -> Result<ServiceArgs, Error> {
    let user = args.user.clone().or_else(|| settings.user.clone());
    let allow_root = args.allow_root || settings.allow_root;
    if user.is_some() && allow_root {
        return Err(Error::Usage(
            "--user names whom root becomes, and --allow-root stays root: one or the other".into(),
        ));
    }
    Ok(ServiceArgs { user, allow_root, ..args.clone() })
}

/// What is open before privileges are given up; threads begin only then.
enum Opened {
    Files(Box<dyn Source>),
    Interfaces(Box<Interfaces>, Room),
    Agents(HepSockets),
}

fn listen(sockets: HepSockets, run: &Run) -> Box<dyn Source> {
    if !run.quiet {
        let own = sockets.address();
        say(&format!("sipwhy: live on HEP at {own} (UDP and TCP); Ctrl-C ends with the summary"));
    }
    Box::new(HepListener::start(sockets, service::hep_key()))
}

fn open_agents(address: &str, settings: &Settings, run: &Run) -> Result<HepSockets, Error> {
    if settings.opening.filter.is_some() {
        return Err(Error::Usage(
            "--hep-listen takes messages from agents: no file and no BPF filter beside it".into(),
        ));
    }
    let sockets = HepSockets::open(address)?;
    if let Some(target) = &run.service.hep_send
        && sockets.is_reached_by(target)?
    {
        return Err(Error::Usage(format!(
            "--hep-send {target} is our own --hep-listen: messages would go round for ever"
        )));
    }
    Ok(sockets)
}

fn open_interfaces(names: &[String], settings: &Settings, run: &Run) -> Result<Interfaces, Error> {
    let source = Interfaces::open(names, settings.opening.clone())?;
    if !run.quiet {
        let what = match &settings.opening.filter {
            Some(filter) => format!("filter: {filter}"),
            None => "SIP on any port".into(),
        };
        say(&format!("sipwhy: live on {}, {what}; Ctrl-C ends with the summary", named(names)));
        if let Some(hint) = settings.opening.filter.as_deref().and_then(lost_by) {
            say(&format!("sipwhy: {hint}"));
        }
    }
    Ok(source)
}

/// Where packets wait that come faster than they are understood: in memory half as much as the kernel's ring holds,
/// then in a file. Without one there is memory alone.
fn room(settings: &Settings) -> Room {
    let memory = || Room::in_memory(settings.opening.buffer / 2);
    memory().and_on_disk(settings.backlog).unwrap_or_else(|error| {
        say(&format!("sipwhy: no temporary file for packets that wait ({error}); they wait in memory alone"));
        memory()
    })
}

/// The interfaces in words; of `any` how many there are.
fn named(names: &[String]) -> String {
    match names {
        [any] if any == "any" => {
            let others = devices().unwrap_or_default().into_iter().filter(|device| device.name != "any").count();
            format!("any ({others} interfaces)")
        }
        _ => names.join(", "),
    }
}

/// What a filter that names ports loses of SIP.
fn lost_by(filter: &str) -> Option<&'static str> {
    let words: Vec<&str> = filter.split(|letter: char| !letter.is_alphanumeric()).collect();
    let has = |word: &str| words.contains(&word);
    if !(has("port") || has("portrange") || has("udp") || has("tcp")) || has("vlan") {
        return None;
    }
    Some(
        "this filter does not see SIP behind VLAN tags, in later fragments and in tunnels; without it nothing is \
         lost, and with it: (FILTER) or (ip[6:2] & 0x1fff != 0) or (vlan and (FILTER))",
    )
}

fn open_files(path: &Path, settings: &Settings, limits: &AllLimits, run: &Run) -> Result<Box<dyn Source>, Error> {
    let following = Following::open(path, limits.reading(Digest::Unasked))?;
    if !run.quiet {
        let what = if path.as_os_str() == "-" { "standard input".into() } else { path.display().to_string() };
        say(&format!("sipwhy: following {what}; Ctrl-C ends with the summary"));
    }
    let source: Box<dyn Source> = match &settings.opening.filter {
        Some(filter) => Box::new(Filtered::new(following, filter)?),
        None => Box::new(following),
    };
    Ok(source)
}

fn go(
    mut source: Box<dyn Source>,
    sockets: Sockets,
    signals: Signals,
    reports: Reports,
    settings: &Settings,
    limits: &AllLimits,
    asked: &Asked<'_>,
) -> Result<u8, Error> {
    let Asked { run, look, names, .. } = asked;
    let plan = Plan::of(run, look, names)?;
    refuse_packets(&plan)?;
    let service = plan.service(sockets, Pace::Drops)?;
    let mut analysis = plan.analysis(limits.analysis, keylog::read(run)?, &service)?;
    analysis.run_for_ever();
    if matches!(run.format, Format::Text | Format::Ndjson) {
        analysis.tell_early();
    }
    let mut scene = Scene::new(&source.inputs(), plan.catalogue.clone()).with_privacy(privacy::of(run, &[])?);
    let style_of_files = plan.style_of_files();
    let printer_of_files = plan.printer_of_files(&style_of_files);
    let out: Box<dyn io::Write + Send> = Box::new(io::stdout());
    let anew = || -> Gatherer { plan.gatherer(limits).for_ever(settings.kept_bytes) };
    let mut follower = LiveFollower::new(Parts {
        lines: Lines::new(out, settings.queue),
        telling: telling(run, &plan),
        reports,
        printer: printer_of_files,
        selection: plan.selection.clone(),
        signals,
        anew: Box::new(anew),
        stats_every: settings.stats_every,
        quiet: run.quiet,
        service,
    });
    let mut engine = Engine::new(0);
    let inputs = follow(source.as_mut(), &mut analysis, &mut engine, &mut scene, &mut follower)?;
    let failure = source.take_failure();
    while let Some(notice) = source.notice() {
        crate::report::Follower::notice(&mut follower, &notice)?;
    }
    drop(source);
    let LiveFollower { gatherer, parts: Parts { mut lines, telling, mut reports, service, .. }, .. } = follower;
    // What is dropped on its way out is told, and does not end a run without end as a failure.
    service.so_far(&inputs, &analysis);
    service.finish();
    let mut gathered = gatherer.finish(&scene, &inputs, &analysis, &engine);
    reports.write(&mut gathered, &printer_of_files);
    analyse::warn(&gathered, run);
    lines.put_whole(summary(telling, &mut gathered, &plan, run)?);
    lines.finish()?;
    let status = analyse::status(&gathered, run);
    if let Some(error) = failure {
        complain(&error.into());
        return Ok(Error::INPUT_UNUSABLE);
    }
    Ok(if reports.has_failed() && status == 0 { Error::OUTPUT_FAILED } else { status })
}

fn refuse_packets(plan: &Plan<'_>) -> Result<(), Error> {
    if !plan.formats.contains(&Format::Pcapng) {
        return Ok(());
    }
    Err(Error::Usage(
        "-o FILE.pcapng reads the capture a second time, so it needs files: save the packets beside it (tcpdump -w \
         call.pcap) and run sipwhy on them"
            .into(),
    ))
}

/// What is told of calls while they go on.
fn telling(run: &Run, plan: &Plan<'_>) -> Telling {
    match run.format {
        Format::Ndjson => Telling::Events(Events::new(Vec::new())),
        Format::Text => Telling::Text(plan.style.clone(), if run.all { Which::All } else { Which::Trouble }),
        _ => Telling::Nothing,
    }
}

/// The last that standard output gets: the end of the events, or the report of all that was seen.
fn summary(telling: Telling, gathered: &mut Gathered, plan: &Plan<'_>, run: &Run) -> Result<Vec<u8>, Error> {
    if let Telling::Events(mut events) = telling {
        events.end(gathered)?;
        return Ok(std::mem::take(events.out()));
    }
    let mut report = Vec::new();
    plan.printer().print(&mut report, run.format, gathered)?;
    Ok(report)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_that_loses_sip_is_told() {
        for filter in ["port 5060", "udp port 5060 or port 5061", "tcp", "udp and host 192.0.2.1"] {
            assert!(lost_by(filter).is_some(), "{filter}");
        }
        for filter in ["host 192.0.2.1", "port 5060 or (vlan and port 5060)", "net 192.0.2.0/24"] {
            assert!(lost_by(filter).is_none(), "{filter}");
        }
    }
}
