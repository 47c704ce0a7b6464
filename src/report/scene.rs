//! What is the same for every record of a run: how frames and times are written, and the catalogue.

use crate::capture::{Digits, InputFacts, Place, SourceId, Timestamp};
use crate::catalogue::Catalogue;
use crate::report::moment::Moment;
use crate::report::record::Frame;
use crate::report::secrets::Privacy;

/// How frames and times of a run are written, and the catalogue from which codes are explained.
#[derive(Debug, Clone, Default)]
pub struct Scene {
    nanoseconds: Vec<bool>,
    catalogue: Catalogue,
    privacy: Privacy,
}

impl Scene {
    /// A scene of these inputs.
    pub fn new(inputs: &[InputFacts], catalogue: Catalogue) -> Scene {
        Scene {
            nanoseconds: inputs.iter().map(|input| input.nanoseconds).collect(),
            catalogue,
            privacy: Privacy::default(),
        }
    }

    /// The same, but that this may be shown.
    pub fn with_privacy(mut self, privacy: Privacy) -> Scene {
        self.privacy = privacy;
        self
    }

    /// What may be shown.
    pub fn privacy(&self) -> &Privacy {
        &self.privacy
    }

    /// The inputs tell only while they are read whether their times have nanoseconds.
    pub fn update(&mut self, inputs: &[InputFacts]) {
        self.nanoseconds.clear();
        self.nanoseconds.extend(inputs.iter().map(|input| input.nanoseconds));
    }

    /// The catalogue.
    pub fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// The frame of a place.
    pub fn frame(&self, place: Place) -> Frame {
        if self.nanoseconds.len() > 1 {
            return Frame::InFile { file: place.source.0, frame: place.frame };
        }
        Frame::Number(place.frame)
    }

    /// The moment of a place.
    pub fn moment(&self, place: Place) -> Moment {
        self.moment_in(place.source, place.time)
    }

    /// A moment of an input.
    pub fn moment_in(&self, source: SourceId, time: Timestamp) -> Moment {
        let nanoseconds = self.nanoseconds.get(source.0 as usize).copied().unwrap_or(false);
        Moment { time, digits: if nanoseconds { Digits::Nano } else { Digits::Micro } }
    }
}
