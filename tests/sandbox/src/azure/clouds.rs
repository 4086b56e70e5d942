//! The clouds and their host names (AZURE 6, "National clouds"): which service a host belongs to, and what a token is
//! for. It knows names only.

/// One of Azure's services.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// The token endpoint.
    Token,
    /// Microsoft Graph.
    Graph,
    /// Key Vault.
    Vault,
}

impl Service {
    /// How the journal and the rules call it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Token => TOKEN,
            Self::Graph => GRAPH,
            Self::Vault => VAULT,
        }
    }
}

/// How the journal and the rules call the token endpoint.
pub const TOKEN: &str = "token";
/// How the journal and the rules call Microsoft Graph.
pub const GRAPH: &str = "graph";
/// How the journal and the rules call Key Vault.
pub const VAULT: &str = "vault";

/// A cloud. Of its authorities the first is the preferred one.
pub(crate) struct Cloud {
    pub(crate) authorities: &'static [&'static str],
    pub(crate) graphs: &'static [&'static str],
    pub(crate) vaults: &'static str,
}

pub(crate) const CLOUDS: [Cloud; 3] = [
    Cloud {
        authorities: &["login.microsoftonline.com", "login.windows.net", "login.microsoft.com", "sts.windows.net"],
        graphs: &["graph.microsoft.com"],
        vaults: "vault.azure.net",
    },
    Cloud {
        authorities: &["login.microsoftonline.us", "login.usgovcloudapi.net"],
        graphs: &["graph.microsoft.us", "dod-graph.microsoft.us"],
        vaults: "vault.usgovcloudapi.net",
    },
    Cloud {
        authorities: &["login.partner.microsoftonline.cn", "login.chinacloudapi.cn"],
        graphs: &["microsoftgraph.chinacloudapi.cn"],
        vaults: "vault.azure.cn",
    },
];

/// The suffix of vaults at the free endpoint. (Below `localhost` itself there are no certificates: a wildcard has to be
/// followed by two labels.)
pub(crate) const FREE_VAULTS: &str = "vault.localhost";

/// Every host name that a certificate has to bear; vaults by a wildcard.
pub(crate) fn all_names() -> Vec<String> {
    let fixed = CLOUDS.iter().flat_map(|cloud| cloud.authorities.iter().chain(cloud.graphs)).map(ToString::to_string);
    let vaults = CLOUDS.iter().map(|cloud| cloud.vaults).chain([FREE_VAULTS]);
    fixed.chain(vaults.map(|suffix| format!("*.{suffix}"))).collect()
}

/// The name of the vault whose host it is, below this suffix.
pub(crate) fn vault_of<'a>(host: &'a str, suffix: &str) -> Option<&'a str> {
    let name = host.strip_suffix(suffix)?.strip_suffix('.')?;
    (!name.is_empty() && !name.contains('.')).then_some(name)
}

/// Whose host it is.
pub(crate) fn service_of(host: &str) -> Option<Service> {
    CLOUDS.iter().find_map(|cloud| match host {
        _ if cloud.authorities.contains(&host) => Some(Service::Token),
        _ if cloud.graphs.contains(&host) => Some(Service::Graph),
        _ => vault_of(host, cloud.vaults).map(|_| Service::Vault),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// AZURE 6, national clouds.
    #[test]
    fn hosts_belong_to_services() {
        let told = |host| service_of(host).map(Service::name);
        assert_eq!(told("login.microsoftonline.us"), Some(TOKEN));
        assert_eq!(told("dod-graph.microsoft.us"), Some(GRAPH));
        assert_eq!(told("kv-payments.vault.azure.cn"), Some(VAULT));
        for unknown in ["vault.azure.net", "a.b.vault.azure.net", "graph.microsoft.com.example", "example.com"] {
            assert_eq!(told(unknown), None, "{unknown}");
        }
    }
}
