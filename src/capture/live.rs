//! Packets from one interface, and BPF filters, by way of libpcap.
//!
//! Is given the name of an interface; gives packets as they arrive, and says when none did. Deliberately does not know
//! when to stop, what to do when the interface is away, nor anything of privileges.

use std::collections::BTreeMap;
use std::time::Duration;

use pcap::Active;
use pcap::BpfProgram;
use pcap::Capture;
use pcap::Linktype;
use pcap::Precision;

use crate::capture::Error;
use crate::capture::Input;
use crate::capture::InputFacts;
use crate::capture::LinkType;
use crate::capture::Packet;
use crate::capture::Progress;
use crate::capture::Source;
use crate::capture::SourceId;
use crate::capture::device::Device;
use crate::capture::device::DeviceState;
use crate::capture::device::Notice;
use crate::capture::device::Opening;
use crate::capture::device::Promiscuous;
use crate::capture::ledger::Clock;
use crate::capture::ledger::Due;
use crate::capture::ledger::Ledger;
use crate::capture::place::Timestamp;

/// Bytes kept of a packet.
const SNAPLEN: i32 = 65_535;

/// The forms in which packets of all interfaces at once come: the older without the number of the interface.
const SLL: Linktype = Linktype(113);
const SLL2: Linktype = Linktype(276);

/// Milliseconds after which the kernel hands on a block of packets that is not full.
const BLOCK_TIMEOUT: i32 = 100;

/// The longest that the kernel holds on to a packet in such a block, with some time to spare.
pub(super) const LAST_BLOCK: Duration = Duration::from_millis(150);

/// Packets between two questions for the kernel's drops.
const DROPS_ASKED_EVERY: u32 = 4096;

/// An interface that is being captured on.
pub(super) struct Live {
    name: String,
    capture: Capture<Active>,
    link: LinkType,
    until_drops_are_asked: u32,
    drops_said: Dropped,
}

impl Live {
    /// Opens an interface, for packets that match the BPF filter if there is one.
    ///
    /// # Errors
    /// The interface is not there or may not be captured on; the filter is none.
    pub(super) fn open(name: &str, opening: &Opening) -> Result<Live, Error> {
        let cannot = |error: pcap::Error| Error::Interface { name: name.to_owned(), why: explain(&error) };
        let mut capture = Capture::from_device(name)
            .map_err(cannot)?
            .promisc(opening.promiscuous == Promiscuous::Yes)
            .snaplen(SNAPLEN)
            .buffer_size(i32::try_from(opening.buffer).unwrap_or(i32::MAX))
            .timeout(BLOCK_TIMEOUT)
            .precision(precision())
            .open()
            .map_err(cannot)?
            .setnonblock()
            .map_err(cannot)?;
        // Of several interfaces at once, the newer form of frames tells on which one each was seen.
        if capture.get_datalink() == SLL {
            let _ = capture.set_datalink(SLL2);
        }
        if let Some(filter) = &opening.filter {
            capture.filter(filter, true).map_err(|error| wrong_filter(filter, &error))?;
        }
        let link = link_type(capture.get_datalink());
        let (until_drops_are_asked, drops_said) = (DROPS_ASKED_EVERY, Dropped::default());
        Ok(Live { name: name.to_owned(), capture, link, until_drops_are_asked, drops_said })
    }

    /// Writes the next packet down, and puts its bytes into `kept`; `None` if none is there now.
    ///
    /// # Errors
    /// The interface is down or away.
    #[inline]
    pub(super) fn poll(&mut self, ledger: &mut Ledger, kept: &mut Vec<u8>) -> Result<Option<Due>, Error> {
        self.until_drops_are_asked = self.until_drops_are_asked.saturating_sub(1);
        if self.until_drops_are_asked == 0 {
            self.ask_for_drops(ledger);
        }
        let packet = match self.capture.next_packet() {
            Ok(packet) => packet,
            Err(pcap::Error::TimeoutExpired | pcap::Error::NoMorePackets) => {
                // An idle interface is asked more often by time than by packets.
                self.until_drops_are_asked = self.until_drops_are_asked.saturating_sub(DROPS_ASKED_EVERY / 64).max(1);
                return Ok(None);
            }
            Err(error) => return Err(Error::Interface { name: self.name.clone(), why: explain(&error) }),
        };
        let fraction = u64::try_from(packet.header.ts.tv_usec).unwrap_or_default();
        let nanoseconds = match precision() {
            Precision::Nano => fraction,
            Precision::Micro => fraction.saturating_mul(1000),
        };
        let clock = Clock::Measured(Timestamp::from_parts(packet.header.ts.tv_sec, nanoseconds));
        kept.clear();
        kept.extend_from_slice(packet.data);
        Ok(Some(ledger.admit(clock, self.link, 0..packet.data.len(), packet.header.len)))
    }

    /// The kernel counts in 32 bits, which a long capture exceeds, and anew for each time that an interface is opened.
    pub(super) fn ask_for_drops(&mut self, ledger: &mut Ledger) {
        self.until_drops_are_asked = DROPS_ASKED_EVERY;
        let Ok(counted) = self.capture.stats() else { return };
        let says = Dropped { by_kernel: counted.dropped, by_interface: counted.if_dropped };
        let by_kernel = says.by_kernel.wrapping_sub(self.drops_said.by_kernel);
        let by_interface = says.by_interface.wrapping_sub(self.drops_said.by_interface);
        self.drops_said = says;
        ledger.add_drops(by_kernel.into(), by_interface.into());
    }
}

/// What libpcap says was dropped since the interface was opened.
#[derive(Debug, Clone, Copy, Default)]
struct Dropped {
    by_kernel: u32,
    by_interface: u32,
}

/// True if times of interfaces have more than microseconds.
pub(super) fn has_nanoseconds() -> bool {
    precision() == Precision::Nano
}

/// True if the system lists an interface, and it is up.
pub(super) fn is_up(name: &str) -> bool {
    pcap::Device::list().is_ok_and(|list| list.iter().any(|device| device.name == name && device.flags.is_up()))
}

/// The interfaces of this machine, as libpcap lists them.
///
/// # Errors
/// They cannot be listed.
pub fn devices() -> Result<Vec<Device>, Error> {
    let list = pcap::Device::list();
    let list = list.map_err(|error| Error::Interface { name: "any interface".into(), why: explain(&error) })?;
    Ok(list.into_iter().filter(|device| !is_pseudo(&device.name)).map(device).collect())
}

/// What libpcap lists beside interfaces: sources of packets that carry no IP traffic of their own.
fn is_pseudo(name: &str) -> bool {
    const PSEUDO: [&str; 7] = ["nflog", "nfqueue", "dbus-", "usbmon", "bluetooth", "netmap", "randpkt"];
    PSEUDO.iter().any(|pseudo| name.starts_with(pseudo))
}

fn device(device: pcap::Device) -> Device {
    Device {
        state: if device.flags.is_up() { DeviceState::Up } else { DeviceState::Down },
        name: device.name,
        description: device.desc,
        addresses: device.addresses.into_iter().map(|address| address.addr).collect(),
    }
}

/// Only packets that match a BPF filter.
pub struct Filtered<S> {
    source: S,
    filter: String,
    programs: Vec<(LinkType, BpfProgram)>,
    left_out: BTreeMap<SourceId, u64>,
    kept: Vec<u8>,
}

impl<S: Source> Filtered<S> {
    /// Puts a filter before a source.
    ///
    /// # Errors
    /// The filter is none.
    pub fn new(source: S, filter: &str) -> Result<Filtered<S>, Error> {
        // What a filter may ask for depends on the link type, which is known only when a packet comes.
        let usual = [1, 113, 101].map(|number| compile(LinkType(number), filter));
        if usual.iter().all(Result::is_err) {
            let [ethernet, ..] = usual;
            ethernet?;
        }
        Ok(Filtered {
            source,
            filter: filter.to_owned(),
            programs: Vec::new(),
            left_out: BTreeMap::new(),
            kept: Vec::new(),
        })
    }

    /// The source beneath.
    pub fn source(&self) -> &S {
        &self.source
    }
}

impl<S: Source> Source for Filtered<S> {
    fn next(&mut self) -> Result<Option<Input<'_>>, Error> {
        loop {
            let packet = match self.source.next()? {
                None => return Ok(None),
                Some(Input::Quiet(now)) => return Ok(Some(Input::Quiet(now))),
                Some(Input::ClockSet(by)) => return Ok(Some(Input::ClockSet(by))),
                Some(Input::Secrets(source, text)) => {
                    self.kept.clear();
                    self.kept.extend_from_slice(text);
                    return Ok(Some(Input::Secrets(source, &self.kept)));
                }
                Some(Input::Packet(packet)) => packet,
            };
            if program(&mut self.programs, packet.link, &self.filter)?.filter(packet.bytes) {
                self.kept.clear();
                self.kept.extend_from_slice(packet.bytes);
                let Packet { time, source, number, link, original_len, .. } = packet;
                return Ok(Some(Input::Packet(Packet { time, source, number, link, bytes: &self.kept, original_len })));
            }
            let left_out = self.left_out.entry(packet.source).or_default();
            *left_out = left_out.saturating_add(1);
        }
    }

    fn inputs(&self) -> Vec<InputFacts> {
        let of_source = |source| self.left_out.get(&SourceId(source)).copied().unwrap_or_default();
        let counted = |(source, input)| InputFacts { filtered_out: of_source(source), ..input };
        (0..).zip(self.source.inputs()).map(counted).collect()
    }

    fn progress(&self) -> Progress {
        self.source.progress()
    }

    fn notice(&mut self) -> Option<Notice> {
        self.source.notice()
    }

    fn take_failure(&mut self) -> Option<Error> {
        self.source.take_failure()
    }

    fn stop(&mut self) -> bool {
        self.source.stop()
    }

    fn leave(&mut self) {
        self.source.leave();
    }
}

/// The filter for a link type, compiled when the first packet of that type comes.
fn program<'a>(
    programs: &'a mut Vec<(LinkType, BpfProgram)>,
    link: LinkType,
    filter: &str,
) -> Result<&'a BpfProgram, Error> {
    let known = programs.iter().position(|(compiled_for, _)| *compiled_for == link);
    let place = match known {
        Some(place) => place,
        None => {
            programs.push((link, compile(link, filter)?));
            programs.len().saturating_sub(1)
        }
    };
    match programs.get(place) {
        Some((_, program)) => Ok(program),
        None => Err(Error::Filter { filter: filter.to_owned(), why: "it was lost".into() }),
    }
}

fn compile(link: LinkType, filter: &str) -> Result<BpfProgram, Error> {
    let compiled = Capture::dead(dlt(link)).and_then(|dead| dead.compile(filter, true));
    compiled.map_err(|error| wrong_filter(filter, &error))
}

fn wrong_filter(filter: &str, error: &pcap::Error) -> Error {
    let why = match error {
        pcap::Error::PcapError(text) => text.clone(),
        other => other.to_string(),
    };
    Error::Filter { filter: filter.to_owned(), why }
}

/// Nanoseconds where the system is known to offer them: the crate does not tell whether a wish was granted.
fn precision() -> Precision {
    if cfg!(target_os = "linux") { Precision::Nano } else { Precision::Micro }
}

/// The number that files use for a link type of this system: raw IP has several.
fn link_type(dlt: Linktype) -> LinkType {
    match dlt.0 {
        12 | 14 => LinkType(101),
        11 => LinkType(100),
        other => LinkType(other.cast_unsigned()),
    }
}

/// The number that this system uses for a link type of a file.
fn dlt(link: LinkType) -> Linktype {
    match link.0 {
        101 if cfg!(target_os = "openbsd") => Linktype(14),
        101 => Linktype(12),
        100 => Linktype(11),
        other => Linktype(other.cast_signed()),
    }
}

/// What libpcap says, and what to do about it where that is known.
fn explain(error: &pcap::Error) -> String {
    let said = match error {
        pcap::Error::PcapError(text) => text.trim().to_owned(),
        other => other.to_string(),
    };
    let lower = said.to_ascii_lowercase();
    if lower.contains("permission") || lower.contains("not permitted") {
        return format!("{said}; run it with sudo, or allow it: setcap cap_net_raw,cap_net_admin=eip FILE");
    }
    if lower.contains("no such device") {
        return format!("{said}; sipwhy devices lists the interfaces");
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::Files;
    use crate::capture::Reading;
    use crate::capture::written::Pcapng;

    /// An empty UDP datagram between documentation addresses, from the IP header on.
    fn datagram(port: u16) -> Vec<u8> {
        let mut bytes = vec![0x45, 0, 0, 28, 0, 1, 0, 0, 64, 17, 0, 0, 192, 0, 2, 10, 198, 51, 100, 20];
        bytes.extend([port.to_be_bytes(), port.to_be_bytes(), [0, 8], [0, 0]].concat());
        bytes
    }

    #[test]
    fn a_filter_lets_through_what_matches_on_any_link_type() {
        let ethernet = |port| [&[2; 12][..], &[8, 0], &datagram(port)].concat();
        let file = Pcapng::new().interface(1, 0, &[]).interface(101, 0, &[]).packet(0, 1, &ethernet(5060));
        let file = file.packet(1, 2, &datagram(5060)).packet(0, 3, &ethernet(53)).packet(1, 4, &datagram(53));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("two-links.pcapng");
        std::fs::write(&path, &file.bytes).unwrap();
        let files = Files::open(&[path], Reading::default()).unwrap();
        let mut filtered = Filtered::new(files, "udp port 5060").unwrap();
        let mut numbers = Vec::new();
        while let Some(Input::Packet(packet)) = filtered.next().unwrap() {
            assert!(!packet.bytes.is_empty());
            numbers.push(packet.number);
        }
        assert_eq!(numbers, [1, 2]);
        assert_eq!(filtered.inputs()[0].packets, 4, "all were read");
    }

    #[test]
    fn a_filter_that_is_none_is_refused_in_libpcaps_words() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("empty.pcapng");
        std::fs::write(&path, Pcapng::new().bytes).unwrap();
        let files = Files::open(&[path], Reading::default()).unwrap();
        let error = Filtered::new(files, "udp prot 5060").err().expect("an error").to_string();
        assert!(error.contains("udp prot 5060") && error.contains("syntax error"), "{error}");
    }

    #[test]
    fn an_interface_that_is_not_there_is_named() {
        let error = Live::open("sipwhy-none", &Opening::default()).err().expect("an error").to_string();
        assert!(error.contains("cannot capture on sipwhy-none"), "{error}");
    }

    #[test]
    fn what_is_no_interface_is_not_listed() {
        for name in ["nflog", "nfqueue", "dbus-system", "usbmon0", "bluetooth-monitor"] {
            assert!(is_pseudo(name), "{name}");
        }
        assert!(!["any", "lo", "eth0", "enp3s0", "wlan0", "br-lan"].iter().any(|name| is_pseudo(name)));
    }

    #[test]
    fn raw_ip_has_one_number_in_files() {
        assert_eq!(link_type(dlt(LinkType(101))), LinkType(101));
        assert_eq!(link_type(dlt(LinkType(1))), LinkType(1));
    }
}
