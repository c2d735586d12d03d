//! Host names that the server accepts in requests.

use axum::http::uri::Authority;
use std::net::{IpAddr, Ipv6Addr};

/// The names of a server besides its addresses.
#[derive(Debug)]
pub struct KnownHosts {
    /// In lower case, without a dot at the end.
    names: Vec<String>,
    /// All names that end in one of these; each begins with a dot.
    domains: Vec<String>,
}

impl KnownHosts {
    /// Loopback names, this machine's name in the local network, and what the configuration allows.
    pub fn new(allowed: &[String]) -> Self {
        let mut known = Self { names: vec!["localhost".into()], domains: vec![".localhost".into()] };
        if let Some(name) = machine_name() {
            known.names.extend([format!("{name}.local"), name]);
        }
        for name in allowed {
            let name = name.to_ascii_lowercase();
            if name.starts_with('.') { known.domains.push(name) } else { known.names.push(name) }
        }
        known
    }

    /// Whether a request with this host, with or without a port, is for this server. Any IP address is: no one can point an address elsewhere.
    pub fn has(&self, host: &str) -> bool {
        let Ok(authority) = host.parse::<Authority>() else { return false };
        if authority.as_str().contains('@') {
            return false;
        }
        let name = authority.host().to_ascii_lowercase();
        let bracketed = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        if let Some(address) = bracketed {
            // A zone may follow it.
            return address.split('%').next().is_some_and(|address| address.parse::<Ipv6Addr>().is_ok());
        }
        let name = name.strip_suffix('.').unwrap_or(&name);
        name.parse::<IpAddr>().is_ok()
            || self.names.iter().any(|known| known == name)
            || self.domains.iter().any(|domain| name.len() > domain.len() && name.ends_with(domain.as_str()))
    }
}

#[cfg(target_os = "linux")]
fn machine_name() -> Option<String> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    Some(name.trim().to_ascii_lowercase()).filter(|name| is_host_name(name))
}

#[cfg(not(target_os = "linux"))]
fn machine_name() -> Option<String> {
    let name = std::env::var("HOSTNAME").or_else(|_| std::env::var("COMPUTERNAME")).ok()?;
    Some(name.to_ascii_lowercase()).filter(|name| is_host_name(name))
}

/// Whether it can be a value of `allowed_hosts`: a name, or a domain with a dot before it.
pub fn is_host_name(text: &str) -> bool {
    let name = text.strip_prefix('.').unwrap_or(text);
    let is_label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    name.len() <= 253 && name.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_loopback_names_and_allowed_names_are_known() {
        let known = KnownHosts::new(&["Pigs.farm.lan".into(), ".barn.example".into()]);
        for host in [
            "localhost",
            "LOCALHOST:8080",
            "localhost.",
            "pigweight.localhost:8080",
            "127.0.0.1:8080",
            "127.8.8.8",
            "192.168.1.5:8080",
            "[::1]:8080",
            "[fe80::1%25eth0]:8080",
            "pigs.farm.lan:8080",
            "PIGS.FARM.LAN.",
            "pen4.barn.example",
        ] {
            assert!(known.has(host), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "127.0.0.1@evil.example",
            "evil.example@127.0.0.1",
            "notlocalhost",
            ".localhost",
            "pigs.farm.lan.evil.example",
            "xpigs.farm.lan",
            "barn.example",
            ".barn.example",
            "xbarn.example",
            "[evil.example]",
            "local host",
            "localhost:80:80",
        ] {
            assert!(!known.has(host), "{host}");
        }
    }

    #[test]
    fn names_are_told_from_addresses_of_pages() {
        for name in ["pigs", "pigs.farm.lan", ".farm.lan", "PC_4"] {
            assert!(is_host_name(name), "{name}");
        }
        for name in
            ["", ".", "pigs.", "http://pigs", "pigs:8080", "pigs/x", "*.farm.lan", "..lan", "a b", "[::1]"]
        {
            assert!(!is_host_name(name), "{name}");
        }
    }
}
