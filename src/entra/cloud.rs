//! Where a tenant's cloud is: who issues its tokens, where its Graph is, how its vaults are called (AZURE 6). Names only.

use azure_core::http::Url;

use crate::api::{
    EntraTenantSpec, TenantId,
    tenant::{Cloud as Named, Endpoints},
};

/// A Microsoft cloud. No address in it ends in a slash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cloud {
    authority: String,
    graph: String,
    vault_suffix: String,
}

/// Why a tenant is in no cloud.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Nowhere {
    /// The addresses of another cloud are wanted, and not given.
    #[error("spec.endpoints is missing, which cloud: Custom needs")]
    NoEndpoints,
    /// An address is none.
    #[error("spec.endpoints.{field} must be an https URL without a query, for example {example}, not {given}")]
    NotAnAddress {
        /// Which.
        field: &'static str,
        /// What it says.
        given: String,
        /// What it could say.
        example: &'static str,
    },
}

impl Cloud {
    /// The cloud of a tenant. What the API server has checked is checked again: an older definition may have let it in.
    pub fn of(tenant: &EntraTenantSpec) -> Result<Self, Nowhere> {
        let known = |authority: &str, graph: &str, vault_suffix: &str| {
            Ok(Self { authority: authority.to_owned(), graph: graph.to_owned(), vault_suffix: vault_suffix.to_owned() })
        };
        let government = "https://login.microsoftonline.us";
        let us_vaults = "vault.usgovcloudapi.net";
        match tenant.cloud {
            Named::Public => {
                known("https://login.microsoftonline.com", "https://graph.microsoft.com", "vault.azure.net")
            }
            Named::USGovernment => known(government, "https://graph.microsoft.us", us_vaults),
            Named::USGovernmentDoD => known(government, "https://dod-graph.microsoft.us", us_vaults),
            Named::China => known(
                // Not login.partner.microsoftonline.cn, though both are right: it is what the Azure SDKs call it.
                "https://login.chinacloudapi.cn",
                "https://microsoftgraph.chinacloudapi.cn",
                "vault.azure.cn",
            ),
            Named::Custom => Self::custom(tenant.endpoints.as_ref().ok_or(Nowhere::NoEndpoints)?),
        }
    }

    fn custom(endpoints: &Endpoints) -> Result<Self, Nowhere> {
        Ok(Self {
            authority: address(
                "authorityHost",
                endpoints.authority_host.as_str(),
                "https://login.microsoftonline.com",
            )?,
            graph: address("graphUrl", endpoints.graph_url.as_str(), "https://graph.microsoft.com")?,
            vault_suffix: endpoints.key_vault_suffix.to_string(),
        })
    }

    /// Where tokens are issued: what goes into `AZURE_AUTHORITY_HOST`.
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// Where tokens for this tenant are asked for.
    #[must_use]
    pub fn token_url(&self, tenant: TenantId) -> String {
        format!("{}/{tenant}/oauth2/v2.0/token", self.authority)
    }

    /// Where Microsoft Graph is.
    #[must_use]
    pub fn graph(&self) -> &str {
        &self.graph
    }

    /// What the host names of its Key Vaults end in, without a leading dot.
    #[must_use]
    pub fn vault_suffix(&self) -> &str {
        &self.vault_suffix
    }

    /// What a token is asked for to prove a credential, if nobody says otherwise: Graph, for which a token is issued
    /// though the application has no permission there.
    #[must_use]
    pub fn proof_scope(&self) -> String {
        format!("{}/.default", self.graph)
    }
}

fn address(field: &'static str, given: &str, example: &'static str) -> Result<String, Nowhere> {
    let is_address = Url::parse(given).is_ok_and(|url| {
        url.scheme() == "https" && url.has_host() && url.query().is_none() && url.fragment().is_none()
    });
    if is_address {
        Ok(given.trim_end_matches('/').to_owned())
    } else {
        Err(Nowhere::NotAnAddress { field, given: given.to_owned(), example })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(spec: &serde_json::Value) -> Result<Cloud, Nowhere> {
        Cloud::of(&tenant(spec))
    }

    fn tenant(spec: &serde_json::Value) -> EntraTenantSpec {
        let mut whole = json!({"tenantId": "8f3c2c1e-0b6a-4d5e-9c1f-2a7b3c4d5e6f"});
        whole.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
        serde_json::from_value(whole).unwrap()
    }

    fn custom(authority: &str) -> serde_json::Value {
        json!({"cloud": "Custom", "endpoints": {
            "authorityHost": authority,
            "graphUrl": "https://graph.example:8443/",
            "keyVaultSuffix": "vault.example",
            "federatedAudience": "api://Example",
        }})
    }

    /// AZURE 6, national clouds.
    #[test]
    fn each_cloud_has_its_own_addresses() {
        let public = of(&json!({})).unwrap();
        let tenant = TenantId(uuid::Uuid::nil());
        assert_eq!(
            public.token_url(tenant),
            "https://login.microsoftonline.com/00000000-0000-0000-0000-000000000000/oauth2/v2.0/token"
        );
        assert_eq!(public.proof_scope(), "https://graph.microsoft.com/.default");
        let dod = of(&json!({"cloud": "USGovernmentDoD"})).unwrap();
        let government = of(&json!({"cloud": "USGovernment"})).unwrap();
        assert_eq!((dod.graph(), dod.authority()), ("https://dod-graph.microsoft.us", government.authority()));
        let china = of(&json!({"cloud": "China"})).unwrap();
        assert_eq!(
            (china.vault_suffix(), china.graph()),
            ("vault.azure.cn", "https://microsoftgraph.chinacloudapi.cn")
        );
    }

    #[test]
    fn another_cloud_says_where_it_is() {
        let other = of(&custom("https://login.example/")).unwrap();
        assert_eq!((other.authority(), other.graph()), ("https://login.example", "https://graph.example:8443"));
        assert_eq!(of(&json!({"cloud": "Custom"})), Err(Nowhere::NoEndpoints));
    }

    #[test]
    fn an_address_that_is_none_is_named() {
        for odd in ["http://login.example", "https://login.example?x=1", "login.example", "https://"] {
            let refused = of(&custom(odd)).unwrap_err();
            assert!(matches!(refused, Nowhere::NotAnAddress { field: "authorityHost", .. }), "{odd}: {refused}");
        }
    }
}
