//! Addresses as they are typed.

use std::net::{SocketAddr, TcpListener, ToSocketAddrs, UdpSocket};

use crate::error::Error;

/// Where to send to, and by what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// `HOST:PORT` or `udp:HOST:PORT`.
    Udp(String),
    /// `tcp:HOST:PORT`.
    Tcp(String),
}

impl Target {
    /// Reads what was typed.
    pub(crate) fn read(text: &str) -> Target {
        match text.split_once(':') {
            Some(("tcp", address)) => Target::Tcp(address.to_owned()),
            Some(("udp", address)) => Target::Udp(address.to_owned()),
            _ => Target::Udp(text.to_owned()),
        }
    }

    /// Host and port.
    pub(crate) fn address(&self) -> &str {
        match self {
            Target::Udp(address) | Target::Tcp(address) => address,
        }
    }
}

/// The addresses of a host, in the order in which they should be tried.
pub(crate) fn resolved(option: &str, text: &str) -> Result<Vec<SocketAddr>, Error> {
    let wrong = |why: String| Error::Usage(format!("{option} {text}: {why}"));
    let addresses = text.to_socket_addrs().map_err(|error| wrong(format!("{error}; write HOST:PORT")))?;
    let addresses: Vec<SocketAddr> = addresses.collect();
    if addresses.is_empty() { Err(wrong("no address".into())) } else { Ok(addresses) }
}

/// Listens where connections come in. `:PORT` is every address of this host.
pub(crate) fn tcp_listener(option: &str, text: &str) -> Result<TcpListener, Error> {
    listening(option, text, |addresses| TcpListener::bind(addresses))
}

/// The same for datagrams.
pub(crate) fn udp_socket(option: &str, text: &str) -> Result<UdpSocket, Error> {
    listening(option, text, |addresses| UdpSocket::bind(addresses))
}

fn listening<S>(option: &str, text: &str, bind: impl Fn(&[SocketAddr]) -> std::io::Result<S>) -> Result<S, Error> {
    let addresses = match text.strip_prefix(':') {
        // Both families by the first one, where the system has IPv6.
        Some(port) => {
            [resolved(option, &format!("[::]:{port}"))?, resolved(option, &format!("0.0.0.0:{port}"))?].concat()
        }
        None => resolved(option, text)?,
    };
    bind(&addresses).map_err(|error| Error::Unusable { file: format!("{option} {text}"), why: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_udp_unless_they_say_otherwise() {
        assert_eq!(Target::read("homer.example.net:9060"), Target::Udp("homer.example.net:9060".into()));
        assert_eq!(Target::read("tcp:192.0.2.1:9060"), Target::Tcp("192.0.2.1:9060".into()));
        assert_eq!(Target::read("udp:[2001:db8::1]:9060").address(), "[2001:db8::1]:9060");
        assert_eq!(Target::read("[2001:db8::1]:9060").address(), "[2001:db8::1]:9060");
    }

    #[test]
    fn an_address_without_a_port_is_refused() {
        let error = tcp_listener("--metrics", "127.0.0.1").unwrap_err();
        assert!(error.to_string().contains("--metrics 127.0.0.1") && error.exit_status() == 2, "{error}");
        assert!(tcp_listener("--metrics", "127.0.0.1:0").is_ok());
    }
}
