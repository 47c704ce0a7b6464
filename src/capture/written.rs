//! Captures written in memory, for the tests of this floor.

use std::io::Read;
use std::path::PathBuf;

use crate::capture::blocks::Blocks;
use crate::capture::ledger::Due;
use crate::capture::ledger::Ledger;
use crate::capture::order::Order;
use crate::capture::records::Records;
use crate::capture::window::Window;
use crate::capture::{Files, Input, InputFacts, LinkType, Packet, Reading, Source};

/// The second at which the captures of the tests begin.
pub(super) const T0: u32 = 1_700_000_000;

/// A pcap file.
#[derive(Debug, Clone)]
pub(super) struct Pcap {
    order: Order,
    pub(super) bytes: Vec<u8>,
    extra: usize,
}

impl Pcap {
    pub(super) fn new() -> Pcap {
        Pcap::with(Order::Little, 0xa1b2_c3d4, 1)
    }

    pub(super) fn with(order: Order, magic: u32, link: u32) -> Pcap {
        let extra = if magic == 0xa1b2_cd34 { 8 } else { 0 };
        let mut pcap = Pcap { order, bytes: Vec::new(), extra };
        pcap.numbers(&[magic]);
        pcap.bytes.extend(u16_in(order, 2));
        pcap.bytes.extend(u16_in(order, 4));
        pcap.numbers(&[0, 0, 262_144, link]);
        pcap
    }

    /// So many bytes more in the header of each record.
    pub(super) fn with_longer_headers(self, extra: usize) -> Pcap {
        Pcap { extra, ..self }
    }

    fn numbers(&mut self, numbers: &[u32]) {
        self.bytes.extend(numbers.iter().flat_map(|number| u32_in(self.order, *number)));
    }

    /// A packet whose header is as it should be.
    pub(super) fn packet(self, seconds: u32, fraction: u32, packet: &[u8]) -> Pcap {
        let len = u32::try_from(packet.len()).unwrap();
        self.record([seconds, fraction, len, len], packet)
    }

    /// A record with any header.
    pub(super) fn record(mut self, header: [u32; 4], packet: &[u8]) -> Pcap {
        self.numbers(&header);
        self.bytes.extend(std::iter::repeat_n(0, self.extra));
        self.bytes.extend(packet);
        self
    }

    pub(super) fn raw(mut self, bytes: &[u8]) -> Pcap {
        self.bytes.extend(bytes);
        self
    }
}

/// A pcapng file.
#[derive(Debug, Clone)]
pub(super) struct Pcapng {
    order: Order,
    pub(super) bytes: Vec<u8>,
}

impl Pcapng {
    pub(super) fn new() -> Pcapng {
        Pcapng { order: Order::Little, bytes: Vec::new() }.section(Order::Little)
    }

    pub(super) fn section(mut self, order: Order) -> Pcapng {
        self.order = order;
        let mut body = u32_in(order, 0x1a2b_3c4d).to_vec();
        body.extend(u16_in(order, 1));
        body.extend(u16_in(order, 0));
        body.extend([0xff; 8]);
        self.block(0x0a0d_0d0a, &body)
    }

    pub(super) fn interface(self, link: u16, snaplen: u32, options: &[(u16, &[u8])]) -> Pcapng {
        let mut body = u16_in(self.order, link).to_vec();
        body.extend([0, 0]);
        body.extend(u32_in(self.order, snaplen));
        body.extend(options_in(self.order, options));
        self.block(1, &body)
    }

    pub(super) fn packet(self, interface: u32, ticks: u64, packet: &[u8]) -> Pcapng {
        self.packet_with(interface, ticks, packet, &[])
    }

    pub(super) fn packet_with(self, interface: u32, ticks: u64, packet: &[u8], options: &[u8]) -> Pcapng {
        let len = u32::try_from(packet.len()).unwrap();
        let (high, low) = (u32::try_from(ticks >> 32).unwrap(), ticks as u32);
        let mut body: Vec<u8> = [interface, high, low, len, len].map(|it| u32_in(self.order, it)).concat();
        body.extend(packet);
        body.resize(body.len().next_multiple_of(4), 0);
        body.extend(options);
        self.block(6, &body)
    }

    pub(super) fn statistics(self, interface: u32, options: &[(u16, &[u8])]) -> Pcapng {
        let mut body: Vec<u8> = [interface, 0, 0].map(|it| u32_in(self.order, it)).concat();
        body.extend(options_in(self.order, options));
        self.block(5, &body)
    }

    pub(super) fn block(mut self, kind: u32, body: &[u8]) -> Pcapng {
        let len = u32::try_from(body.len().next_multiple_of(4) + 12).unwrap();
        self.bytes.extend(u32_in(self.order, kind));
        self.bytes.extend(u32_in(self.order, len));
        self.bytes.extend(body);
        self.bytes.extend(std::iter::repeat_n(0, body.len().next_multiple_of(4) - body.len()));
        self.bytes.extend(u32_in(self.order, len));
        self
    }

    pub(super) fn raw(mut self, bytes: &[u8]) -> Pcapng {
        self.bytes.extend(bytes);
        self
    }
}

pub(super) fn options_in(order: Order, options: &[(u16, &[u8])]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (code, value) in options {
        bytes.extend(u16_in(order, *code));
        bytes.extend(u16_in(order, u16::try_from(value.len()).unwrap()));
        bytes.extend(*value);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
    }
    bytes
}

pub(super) fn u16_in(order: Order, number: u16) -> [u8; 2] {
    match order {
        Order::Little => number.to_le_bytes(),
        Order::Big => number.to_be_bytes(),
    }
}

pub(super) fn u32_in(order: Order, number: u32) -> [u8; 4] {
    match order {
        Order::Little => number.to_le_bytes(),
        Order::Big => number.to_be_bytes(),
    }
}

/// A packet as a test sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) time: i64,
    pub(super) number: u64,
    pub(super) link: LinkType,
    pub(super) bytes: Vec<u8>,
}

/// The packets of a pcap file and what is known of it, read through a very small window.
pub(super) fn read_pcap(file: &[u8]) -> (Vec<Seen>, InputFacts) {
    let (mut window, mut ledger) = (Window::new(file, 64), Ledger::default());
    let mut records = Records::open(&mut window, &mut ledger).expect("a whole file header");
    read_all(&mut window, &mut ledger, |window, ledger| records.next(window, ledger))
}

/// The packets of a pcapng file and what is known of it, read through a very small window.
pub(super) fn read_pcapng(file: &[u8]) -> (Vec<Seen>, InputFacts) {
    let (mut window, mut ledger) = (Window::new(file, 64), Ledger::default());
    let mut blocks = Blocks::new();
    read_all(&mut window, &mut ledger, |window, ledger| blocks.next(window, ledger))
}

fn read_all<R: Read>(
    window: &mut Window<R>,
    ledger: &mut Ledger,
    mut next: impl FnMut(&mut Window<R>, &mut Ledger) -> Option<Due>,
) -> (Vec<Seen>, InputFacts) {
    let mut seen = Vec::new();
    while next(window, ledger).is_some() {
        let record = ledger.record().expect("a record that was written down");
        let bytes = window.at(record.bytes.clone()).to_vec();
        assert_eq!(bytes.len(), record.bytes.len());
        seen.push(Seen { time: record.time.0, number: record.number, link: record.link, bytes });
    }
    assert!(next(window, ledger).is_none(), "nothing comes behind the end");
    (seen, ledger.facts("test".into(), "test".into(), None))
}

/// The packets of files, folders or pipes in the order in which they are read, and what is known of each input.
pub(super) fn read_files(paths: &[PathBuf], reading: Reading) -> (Vec<Seen>, Vec<InputFacts>) {
    let mut files = Files::open(paths, reading).expect("captures");
    let mut seen = Vec::new();
    while let Some(Input::Packet(packet)) = files.next().expect("files give no error") {
        let Packet { time, number, link, bytes, .. } = packet;
        seen.push(Seen { time: time.0, number, link, bytes: bytes.to_vec() });
    }
    (seen, files.inputs())
}
