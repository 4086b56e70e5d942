//! Which hosts are vaults: those directly below the DNS suffix of the tenant's cloud, and nothing else. A token for Key
//! Vault opens every vault that the operator may enter, so it must not be carried to a host that only looks like one.
//! Pure.

use std::fmt;

use reqwest::Url;

use crate::api::values::VaultUrl;

/// The DNS suffix of a cloud's Key Vaults, such as `vault.azure.net`. Of a custom cloud it is what the tenant's
/// `endpoints` say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VaultSuffix(String);

impl From<&str> for VaultSuffix {
    fn from(suffix: &str) -> Self {
        Self(suffix.trim_matches('.').to_ascii_lowercase())
    }
}

impl fmt::Display for VaultSuffix {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl VaultSuffix {
    /// The URL of a vault in the one spelling that can be compared: lower case, and without a trailing slash. Nothing, if
    /// it is not a vault below this suffix.
    #[must_use]
    pub fn origin(&self, url: &VaultUrl) -> Option<VaultUrl> {
        let url = Url::parse(url.as_str()).ok()?;
        let plain = url.username().is_empty() && url.password().is_none() && url.query().is_none();
        let bare = url.path() == "/" && url.fragment().is_none();
        let host = url.host_str()?.to_ascii_lowercase();
        let label = host.strip_suffix(&self.0)?.strip_suffix('.')?;
        let is_vault = url.scheme() == "https" && !label.is_empty() && !label.contains('.');
        let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
        (plain && bare && is_vault).then(|| VaultUrl(format!("https://{host}{port}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(suffix: &str, url: &str) -> Option<String> {
        VaultSuffix::from(suffix).origin(&url.into()).map(|url| url.0)
    }

    #[test]
    fn a_vault_has_one_spelling() {
        let spelled = Some("https://kv-payments.vault.azure.net".to_owned());
        for (suffix, url) in [
            ("vault.azure.net", "https://kv-payments.vault.azure.net"),
            (".vault.azure.net", "https://KV-Payments.Vault.Azure.net/"),
            ("Vault.Azure.Net", "https://kv-payments.vault.azure.net:443"),
        ] {
            assert_eq!(origin(suffix, url), spelled, "{url}");
        }
        let custom = origin("vault.contoso.test", "https://kv.vault.contoso.test:8443");
        assert_eq!(custom.as_deref(), Some("https://kv.vault.contoso.test:8443"));
    }

    #[test]
    fn what_only_looks_like_a_vault_is_none() {
        for url in [
            "https://kv-payments.vault.azure.cn",
            "https://vault.azure.net",
            "https://kv.evilvault.azure.net",
            "https://kv.vault.azure.net.evil.example",
            "https://evil.example/kv.vault.azure.net",
            "https://kv.vault.azure.net@evil.example",
            "https://user@kv.vault.azure.net",
            "https://a.b.vault.azure.net",
            "https://kv.vault.azure.net/secrets",
            "https://kv.vault.azure.net?x",
            "https://evil.example#.vault.azure.net",
            "http://kv.vault.azure.net",
            "kv.vault.azure.net",
        ] {
            assert_eq!(origin("vault.azure.net", url), None, "{url}");
        }
        assert_eq!(origin("", "https://kv.vault.azure.net"), None);
    }
}
