//! Faults for tests: the program has none of this.

thread_local! {
    static FRAMES: std::cell::RefCell<Vec<u64>> = const { std::cell::RefCell::new(Vec::new()) };
}

/// Makes the analysis fail, in this thread, at the messages of these frames.
pub(crate) fn fail_at(frames: &[u64]) {
    FRAMES.set(frames.to_vec());
}

pub(super) fn fail_if_told(frame: u64) {
    let is_told = FRAMES.with_borrow(|frames| frames.contains(&frame));
    assert!(!is_told, "a fault that the test asked for, at frame {frame}");
}
