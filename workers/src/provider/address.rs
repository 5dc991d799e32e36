//! Which addresses the base URL of a provider may lead to.
//!
//! Where people give addresses of their own, a call must not become a way into the installation's own network: to a
//! database, a neighbour, a cloud's metadata. So such an address is checked when it is given ([`Reach::check`]), and every
//! address that its name stands for is checked again whenever a connection is made ([`Reach::guard`]): a name may mean
//! another machine by then. Redirects are never followed, and no proxy of the environment is used, behind which the check
//! would see nothing. What the operator configures is not checked.

#[cfg(test)]
mod tests;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{ClientBuilder, Url, redirect};

/// How far a base URL may lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// To public addresses, over TLS: what people give.
    Public,
    /// Anywhere: what the operator gives, or lets people give.
    Anywhere,
}

/// Why a base URL is not acceptable; for people, without a full stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// It is none.
    #[error("it is no address, such as https://api.openai.com/v1")]
    Malformed,
    /// Its scheme is not HTTP's.
    #[error("it must begin with http:// or https://")]
    Scheme,
    /// It is not encrypted.
    #[error("it must begin with https://")]
    Insecure,
    /// It carries a name and a password, which belong elsewhere.
    #[error("it holds a login; put the secret into the key")]
    Login,
    /// It leads into a network that is not public.
    #[error("it does not lead to a public address")]
    Private,
}

impl Reach {
    /// Reads a base URL. Its host, where it is an address and no name, is checked here and nowhere else: there is nothing to
    /// resolve.
    ///
    /// # Errors
    /// When it is no URL of HTTP, or leads farther than it may.
    pub fn check(self, base_url: &str) -> Result<Url, AddressError> {
        let url = Url::parse(base_url).map_err(|_| AddressError::Malformed)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(AddressError::Scheme);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(AddressError::Login);
        }
        if self == Self::Anywhere {
            return Ok(url);
        }
        if url.scheme() != "https" {
            return Err(AddressError::Insecure);
        }
        // However it was written: the parser knows 0x7f.1 and 2130706433 for what they are.
        let host = url.host_str().unwrap_or_default();
        let is_private = match host.trim_matches(['[', ']']).parse() {
            Ok(address) => !is_public(address),
            Err(_) => is_local(host),
        };
        if is_private { Err(AddressError::Private) } else { Ok(url) }
    }

    /// Makes a client keep to it: no redirects, no proxies, and where only public addresses are allowed, no others.
    pub fn guard(self, client: ClientBuilder) -> ClientBuilder {
        let client = client.redirect(redirect::Policy::none()).no_proxy();
        match self {
            Self::Anywhere => client,
            Self::Public => client.https_only(true).dns_resolver(PublicOnly),
        }
    }
}

/// Resolves names, and refuses those that do not stand for public addresses alone.
#[derive(Clone, Copy, Debug)]
struct PublicOnly;

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let addresses: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let addresses: Addrs = Box::new(only_public(addresses)?.into_iter());
            Ok(addresses)
        })
    }
}

/// All of them or none: a name that stands for both has been made to.
fn only_public(addresses: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, AddressError> {
    if addresses.iter().all(|address| is_public(address.ip())) { Ok(addresses) } else { Err(AddressError::Private) }
}

/// Names that stand for this machine or its neighbours wherever they are resolved.
fn is_local(name: &str) -> bool {
    let name = name.trim_end_matches('.');
    let ends = |suffix: &str| name == suffix || name.strip_suffix(suffix).is_some_and(|rest| rest.ends_with('.'));
    ["localhost", "local", "internal", "home.arpa"].into_iter().any(ends)
}

/// Whether an address belongs to the public Internet, by the registries of special-purpose addresses (RFC 6890,
/// `https://www.iana.org/assignments/iana-ipv4-special-registry`, `https://www.iana.org/assignments/iana-ipv6-special-registry`).
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    /// Networks that are not public, and how many bits they share.
    const NOT_PUBLIC: &[([u8; 4], u32)] = &[
        ([0, 0, 0, 0], 8),
        ([10, 0, 0, 0], 8),
        // Between providers and their customers; also Alibaba's metadata, 100.100.100.200.
        ([100, 64, 0, 0], 10),
        ([127, 0, 0, 0], 8),
        // This link; also the metadata of most clouds, 169.254.169.254.
        ([169, 254, 0, 0], 16),
        ([172, 16, 0, 0], 12),
        // Azure's host of a machine, though the address itself is public.
        ([168, 63, 129, 16], 32),
        // Also Oracle's metadata, 192.0.0.192.
        ([192, 0, 0, 0], 24),
        ([192, 0, 2, 0], 24),
        ([192, 88, 99, 0], 24),
        ([192, 168, 0, 0], 16),
        ([198, 18, 0, 0], 15),
        ([198, 51, 100, 0], 24),
        ([203, 0, 113, 0], 24),
        // Many receivers, and what is reserved, the broadcast among it.
        ([224, 0, 0, 0], 3),
    ];
    !NOT_PUBLIC.iter().any(|(network, bits)| (u32::from(address) ^ u32::from_be_bytes(*network)) >> (32 - bits) == 0)
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    // Only 2000::/3 is given out. That leaves out loopback, local links and sites, many receivers, and the addresses that stand
    // for ones of IPv4 (::ffff:0:0/96, ::/96, 64:ff9b::/96, 64:ff9b:1::/48).
    let [first, second, ..] = address.segments();
    let is_given_out = first & 0xe000 == 0x2000;
    let is_special = match first {
        // Protocols' own, Teredo among them, which stands for IPv4 too; and documentation.
        0x2001 => second < 0x0200 || second == 0x0db8,
        // 6to4, which stands for IPv4 too.
        0x2002 => true,
        // Documentation.
        0x3fff => second < 0x1000,
        _ => false,
    };
    is_given_out && !is_special
}
