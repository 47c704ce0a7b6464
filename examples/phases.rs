use sipwhy::capture::*;
use sipwhy::net::*;
use sipwhy::oddity::*;
use sipwhy::sip::*;
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let phase: u32 = a[1].parse().unwrap();
    let mut files = Files::open(&[a[2].clone().into()], Reading::default()).unwrap();
    let mut decoder = Decoder::new(Default::default());
    let mut log = OddityLog::default();
    let mut n = 0u64;
    let mut h = 0usize;
    while let Some(input) = files.next().unwrap() {
        let Input::Packet(p) = input else { continue };
        if phase == 1 {
            n += p.bytes.len() as u64;
            continue;
        }
        decoder.feed(&p, &mut log, |d: Delivery<'_>| {
            if let Delivery::Datagram(d) = d {
                if phase == 2 {
                    n += d.bytes.len() as u64;
                    return;
                }
                if !looks_like_sip(d.bytes) {
                    return;
                }
                n += 1;
                if phase == 3 {
                    return;
                }
                let m = Message::read(d.bytes, Cut::Whole).unwrap();
                h += m.call_id().len();
            }
        });
    }
    println!("{n} {h}");
}
