use sipwhy::analysis::*;
use sipwhy::capture::*;
use sipwhy::diagnosis::*;
fn main() {
    let paths: Vec<_> = std::env::args_os().skip(1).map(Into::into).collect();
    let quiet = std::env::var_os("QUIET").is_some();
    let mut files = Files::open(&paths, Reading::default()).unwrap();
    let mut limits = Limits::default();
    if let Ok(m) = std::env::var("MB") {
        limits.call.call_bytes = m.parse::<usize>().unwrap() << 20;
    }
    let mut analysis = Analysis::new(limits);
    let mut engine = Engine::new(Engine::HELD_BACK);
    let mut n = [0u64; 3];
    let mut by = std::collections::BTreeMap::new();
    let mut show = |(call, d): (sipwhy::call::Call, Diagnosis)| {
        n[0] += 1;
        *by.entry(format!("{:?} {:?} {:?}", call.kind, call.outcome, call.final_status.map(|s| s.get())))
            .or_insert(0u64) += 1;
        if quiet {
            return;
        }
        println!(
            "#{} {:?} {:?} {:?} cause {:?} {:?}",
            call.number,
            call.kind,
            d.outcome,
            call.final_status.map(|s| s.get()),
            d.cause().map(|f| f.rule.clone()),
            d.findings.iter().map(|f| f.rule.clone()).collect::<Vec<_>>()
        );
        for leg in &call.legs {
            println!(
                "   leg {:?} {} {:?}",
                String::from_utf8_lossy(&leg.call_id),
                format!("{}->{}", leg.path.source, leg.path.destination),
                leg.linked_by
            );
        }
        for t in &call.transactions {
            println!(
                "   t{} {} cseq {} {}->{} req {:?} prov {:?} fin {:?} ack {:?} up {:?} canc {:?}",
                t.id.0,
                t.method,
                t.cseq,
                t.path.source,
                t.path.destination,
                t.request.map(|m| call.message(m).place.frame),
                t.provisionals.len(),
                t.finals
                    .iter()
                    .map(|m| (
                        call.message(*m).place.frame,
                        call.message(*m).message.status().map(|s| s.get()),
                        call.message(*m).repeated,
                        call.message(*m).duplicates
                    ))
                    .collect::<Vec<_>>(),
                t.acks.len(),
                t.upstream.map(|u| u.0),
                t.cancelled_by.map(|u| u.0)
            );
        }
        for f in &call.failures {
            println!("   failure {} {:?}", f.status, f.normal);
        }
    };
    run(&mut files, &mut analysis, |a, event| {
        let Event::Call(call) = event else { return };
        engine.add(*call);
        while let Some(x) = engine.next(a.surroundings(), CaptureSeen { drops: 0, until: a.now() }) {
            show(x);
        }
    })
    .unwrap();
    while let Some(x) = engine.next_at_end(analysis.surroundings(), CaptureSeen { drops: 0, until: analysis.now() }) {
        show(x);
    }
    for input in files.inputs() {
        let c = analysis.counts(SourceId(0));
        println!(
            "{} {} packets, {} sip {:?}",
            input.name,
            input.packets,
            c.sip_messages,
            c.oddities.iter().map(|(k, n)| (k, n.count)).collect::<Vec<_>>()
        );
    }
    for (k, v) in by {
        println!("  {v} {k}");
    }
}
