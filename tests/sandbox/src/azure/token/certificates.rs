//! Whether an assertion that a client has signed itself lets it in (AZURE 4.3, 5): whether a certificate of the application
//! is called so, as one replica knows it, whether it is good, and whether the assertion is right.

use jiff::Timestamp;
use uuid::Uuid;

use super::refusals::Refusal;
use super::sign_in::Refused;
use super::signed::Signed;
use crate::azure::applications::Application;
use crate::azure::certificates::Certificate;
use crate::azure::clouds::CLOUDS;
use crate::azure::log::Cause;
use crate::azure::tenants::Tenant;
use crate::witness::Fingerprint;

/// The ID of the certificate that proves it. A share of what is right is refused all the same (AZURE 3).
pub(super) fn proven(
    tenant: &mut Tenant,
    seen: &Application,
    signed: &Signed,
    origin: &str,
    now: Timestamp,
) -> Result<Uuid, Refused> {
    let client_id = seen.client_id;
    let thumbprint = signed.told_thumbprint();
    let unknown = |cause| Err((Refusal::certificate_not_registered(client_id, thumbprint.as_deref()), cause));
    let found = || seen.certificates.iter().filter(|one| is_meant(one, signed));
    // An application may have the same certificate twice, for other times.
    let Some(certificate) = found().find(|one| one.is_valid(now)).or_else(|| found().next_back()) else {
        return unknown(why_unknown(tenant, client_id, signed));
    };
    if now < certificate.start {
        return Err((Refusal::certificate_not_valid_yet(), Cause::NotYetValid));
    }
    if now >= certificate.end {
        let (thumbprint, Certificate { start, end, .. }) = (thumbprint.unwrap_or_default(), certificate);
        return Err((Refusal::certificate_expired(client_id, &thumbprint, *start, *end), Cause::Expired));
    }
    if !certificate.x509.key().is_some_and(|key| signed.is_signed_by(key)) {
        return Err((Refusal::bad_signature(), Cause::WrongValue));
    }
    if signed.subject != signed.issuer {
        return Err((Refusal::another_subject(), Cause::BadRequest));
    }
    if !is_audience(tenant, origin, &signed.audience) {
        return Err((Refusal::malformed_assertion(), Cause::BadRequest));
    }
    if !signed.is_valid(now) {
        return Err((Refusal::not_in_time(now, signed.begin, signed.end), Cause::BadRequest));
    }
    let noise = tenant.weather.noise;
    if noise > 0.0 && tenant.dice.chance(noise) {
        return unknown(Cause::Noise);
    }
    Ok(certificate.key_id)
}

/// What can be told of the certificate that an assertion names, if the application ever had it.
pub(super) fn fingerprint(tenant: &Tenant, client_id: Uuid, signed: &Signed) -> Option<Fingerprint> {
    tenant.certified(client_id).find(|one| is_meant(one, signed)).map(|one| one.x509.fingerprint())
}

fn is_meant(certificate: &Certificate, signed: &Signed) -> bool {
    signed.thumbprint.as_ref().is_some_and(|thumbprint| certificate.x509.is_called(thumbprint))
}

/// Why a replica does not know a certificate, in truth. It may have been there several times.
fn why_unknown(tenant: &Tenant, client_id: Uuid, signed: &Signed) -> Cause {
    let mut ever = tenant.certified(client_id).filter(|one| is_meant(one, signed)).peekable();
    if ever.peek().is_none() {
        Cause::WrongValue
    } else if ever.all(|one| tenant.has_lost(client_id, one.key_id)) {
        Cause::Removed
    } else {
        Cause::NotYetKnown
    }
}

/// Whether it is the token endpoint of this tenant, of either version and at any host of this cloud, or `common` in the
/// place of the tenant; letter by letter.
fn is_audience(tenant: &Tenant, origin: &str, audience: &str) -> bool {
    let ends = ["/oauth2/v2.0/token", "/oauth2/token"];
    let Some((host, name)) = ends.iter().find_map(|end| audience.strip_suffix(end)?.rsplit_once('/')) else {
        return false;
    };
    let has = |hosts: &[&str], origin: &str| hosts.iter().any(|host| origin.strip_prefix("https://") == Some(host));
    let cloud = CLOUDS.iter().find(|cloud| has(cloud.authorities, origin));
    let is_here = host == origin || cloud.is_some_and(|cloud| has(cloud.authorities, host));
    let is_tenant = name == "common" || name == tenant.id.to_string() || tenant.domains.iter().any(|one| one == name);
    is_here && is_tenant
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::azure::tenants::Weather;

    /// AZURE 5: the endpoint of version 2, and what SDKs send besides.
    #[test]
    fn an_assertion_is_for_an_endpoint_of_the_tenant() {
        let id = Uuid::from_u128(0xa);
        let mut tenant = Tenant::new(id, 1, Weather::NONE, 7);
        tenant.domains.push("contoso.com".into());
        let public = "https://login.microsoftonline.com";
        let is = |origin: &str, audience: &str| is_audience(&tenant, origin, audience);
        for host in [public, "https://login.windows.net", "https://sts.windows.net"] {
            for name in [id.to_string().as_str(), "contoso.com", "common"] {
                for end in ["/oauth2/v2.0/token", "/oauth2/token"] {
                    assert!(is(public, &format!("{host}/{name}{end}")));
                }
            }
        }
        let free = "https://127.0.0.1:4711";
        assert!(is(free, &format!("{free}/{id}/oauth2/v2.0/token")));
        for odd in [
            "https://login.microsoftonline.us/contoso.com/oauth2/v2.0/token",
            "https://login.microsoftonline.com/fabrikam.com/oauth2/v2.0/token",
            "https://login.microsoftonline.com/organizations/oauth2/v2.0/token",
            "https://login.microsoftonline.com/Contoso.com/oauth2/v2.0/token",
            "https://login.microsoftonline.com/contoso.com/oauth2/v2.0/token/",
            "https://login.microsoftonline.com/contoso.com/v2.0",
            "https://login.microsoftonline.com/oauth2/v2.0/token",
            "http://login.microsoftonline.com/contoso.com/oauth2/v2.0/token",
            "https://example.com/contoso.com/oauth2/v2.0/token",
            "",
        ] {
            assert!(!is(public, odd), "{odd}");
        }
    }
}
