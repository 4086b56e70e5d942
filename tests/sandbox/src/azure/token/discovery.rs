//! What clients ask before they sign in: where a tenant's endpoints are, and which hosts belong together. Pure.

use serde_json::{Value, json};

use super::refusals::Refusal;
use crate::azure::call::Call;
use crate::azure::clouds::CLOUDS;

/// The metadata of a tenant, as `OpenID` Connect has it.
pub(super) fn metadata(call: &Call, tenant: &str, issuer: &str, version_1: bool) -> Value {
    let origin = &call.origin;
    let base = format!("{origin}/{tenant}");
    let (issuer, version, keys) = if version_1 {
        (format!("https://sts.windows.net/{issuer}/"), "", format!("{origin}/common/discovery/keys"))
    } else {
        (format!("{origin}/{issuer}/v2.0"), "/v2.0", format!("{base}/discovery/v2.0/keys"))
    };
    json!({
        "token_endpoint": format!("{base}/oauth2{version}/token"),
        "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt", "client_secret_basic"],
        "jwks_uri": keys,
        "response_modes_supported": ["query", "fragment", "form_post"],
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "response_types_supported": ["code", "id_token", "code id_token", "id_token token"],
        "scopes_supported": ["openid", "profile", "email", "offline_access"],
        "issuer": issuer,
        "request_uri_parameter_supported": false,
        "userinfo_endpoint": "https://graph.microsoft.com/oidc/userinfo",
        "authorization_endpoint": format!("{base}/oauth2{version}/authorize"),
        "device_authorization_endpoint": format!("{base}/oauth2{version}/devicecode"),
        "end_session_endpoint": format!("{base}/oauth2{version}/logout"),
        "tenant_region_scope": "EU",
        "cloud_instance_name": "microsoftonline.com",
        "cloud_graph_host_name": "graph.windows.net",
        "msgraph_host": "graph.microsoft.com",
    })
}

/// Which hosts are aliases of each other, for every cloud; whoever asks about another host is refused.
pub(super) fn instance(call: &Call) -> Result<Value, Refusal> {
    let parameters = call.parameters();
    let endpoint = parameters.get("authorization_endpoint").map(String::as_str).unwrap_or_default();
    let host = endpoint.strip_prefix("https://").and_then(|rest| rest.split('/').next()).unwrap_or_default();
    if !CLOUDS.iter().any(|cloud| cloud.authorities.contains(&host)) {
        return Err(Refusal::unknown_instance());
    }
    let base = endpoint.split("/oauth2").next().unwrap_or_default();
    let clouds = CLOUDS.iter().map(|cloud| {
        let preferred = cloud.authorities.first();
        json!({"preferred_network": preferred, "preferred_cache": preferred, "aliases": cloud.authorities})
    });
    Ok(json!({
        "tenant_discovery_endpoint": format!("{base}/v2.0/.well-known/openid-configuration"),
        "api-version": "1.1",
        "metadata": clouds.collect::<Vec<_>>(),
    }))
}
