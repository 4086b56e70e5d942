//! Outside issuers over HTTP: opened, told to sign, to change their keys, to go away and to come back; and whose
//! certificates Entra trusts besides. It does what the methods of [`OutsideIssuer`] do, and no more.

use anyhow::Context;
use hyper::body::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use super::http;
use crate::azure::Azure;
use crate::azure::outside::OutsideIssuer;

/// Whom Entra shall trust.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Trust {
    pem: String,
}

/// For whom a token shall be; claims say it all, or a subject and an audience do.
#[derive(Debug, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
enum Token {
    Claims { claims: Value },
    For { subject: String, audience: String },
}

/// What is answered; nothing if there is no such route.
pub(super) async fn administer(
    azure: &Azure,
    method: &str,
    rest: &[&str],
    body: &Bytes,
) -> anyhow::Result<Option<Value>> {
    match (method, rest) {
        ("POST", []) => {
            let issuer = azure.open_issuer().await?;
            let url = issuer.url().to_owned();
            let mut all = azure.0.room.outside();
            all.push(issuer);
            Ok(Some(json!({"id": all.len() - 1, "url": url})))
        }
        ("POST", ["trust"]) => {
            azure.trust_issuers(&http::read::<Trust>(body)?.pem)?;
            Ok(Some(json!({})))
        }
        ("POST", [number, wish]) => {
            let place = number.parse().ok();
            let issuer = place.and_then(|place: usize| azure.0.room.outside().get(place).cloned());
            let issuer = issuer.with_context(|| format!("there is no issuer {number}: open it first"))?;
            carry_out(&issuer, wish, body)
        }
        _ => Ok(None),
    }
}

fn carry_out(issuer: &OutsideIssuer, wish: &str, body: &Bytes) -> anyhow::Result<Option<Value>> {
    match wish {
        "tokens" => {
            let token = match http::read(body)? {
                Token::Claims { claims } => issuer.mint_with(&claims)?,
                Token::For { subject, audience } => issuer.mint(&subject, &audience)?,
            };
            return Ok(Some(json!({"token": token})));
        }
        "rotate" => issuer.rotate()?,
        "goAway" => issuer.go_away(),
        "comeBack" => issuer.come_back(),
        _ => return Ok(None),
    }
    Ok(Some(json!({})))
}
