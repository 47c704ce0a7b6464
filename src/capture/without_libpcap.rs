//! What stands in for live capture and BPF filters when the program is built without libpcap: it says so.

use std::convert::Infallible;
use std::marker::PhantomData;

use crate::capture::Error;
use crate::capture::Input;
use crate::capture::InputFacts;
use crate::capture::Progress;
use crate::capture::Source;
use crate::capture::device::Device;
use crate::capture::device::Opening;

/// Interfaces that are being captured on, of which there are none without libpcap.
pub struct Interfaces(Infallible);

impl Interfaces {
    /// Says that libpcap is missing.
    ///
    /// # Errors
    /// Always.
    pub fn open(_names: &[String], _opening: Opening) -> Result<Interfaces, Error> {
        Err(Error::NoLibpcap { wanted: "capturing on an interface" })
    }
}

impl Source for Interfaces {
    fn next(&mut self) -> Result<Option<Input<'_>>, Error> {
        match self.0 {}
    }

    fn inputs(&self) -> Vec<InputFacts> {
        match self.0 {}
    }

    fn progress(&self) -> Progress {
        match self.0 {}
    }
}

/// Says that libpcap is missing.
///
/// # Errors
/// Always.
pub fn devices() -> Result<Vec<Device>, Error> {
    Err(Error::NoLibpcap { wanted: "listing interfaces" })
}

/// Only packets that match a BPF filter, of which there is none without libpcap.
pub struct Filtered<S>(Infallible, PhantomData<S>);

impl<S: Source> Filtered<S> {
    /// Says that libpcap is missing.
    ///
    /// # Errors
    /// Always.
    pub fn new(_source: S, _filter: &str) -> Result<Filtered<S>, Error> {
        Err(Error::NoLibpcap { wanted: "a capture filter (-f)" })
    }

    /// The source beneath.
    pub fn source(&self) -> &S {
        match self.0 {}
    }
}

impl<S: Source> Source for Filtered<S> {
    fn next(&mut self) -> Result<Option<Input<'_>>, Error> {
        match self.0 {}
    }

    fn inputs(&self) -> Vec<InputFacts> {
        match self.0 {}
    }

    fn progress(&self) -> Progress {
        match self.0 {}
    }
}
