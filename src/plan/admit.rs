//! What the tenant allows. Default-deny: one grant must allow everything that a resource asks for.
//!
//! The grants are sieved step by step, and the step at which none is left is the reason. So somebody whose namespace is
//! granted but whose vault is not reads about the vault.

use super::{Refusal, pattern, readable::Request, scene};
use crate::{
    api::{
        ClientId, Reason,
        grant::{Allowance, Grant, LabelOperator, LabelTest, Selector},
        kinds::ExternalIdentity,
    },
    facts::Elder,
};

/// What a grant lacks for a request, in words that tell the platform team what to add; `None` if nothing.
type Lack = fn(&Grant, &Request<'_>) -> Option<String>;

const SIEVE: [(Reason, Lack); 7] = [
    (Reason::NamespaceNotGranted, namespace),
    (Reason::ApplicationNotGranted, application),
    (Reason::KindNotGranted, kind),
    (Reason::IssuerNotGranted, issuers),
    (Reason::VaultNotGranted, vaults),
    (Reason::SecretNameNotGranted, secret_name),
    (Reason::RetirementNotGranted, retirement),
];

/// Why the tenant does not allow what is asked for.
#[must_use]
pub fn refusal(request: &Request<'_>) -> Option<Refusal> {
    own_application(request).or_else(|| not_granted(request))
}

/// Whether a grant for all that is asked for allows this, too.
pub(super) fn allows(request: &Request<'_>, allowance: Allowance) -> bool {
    let lacks_nothing = |grant: &&Grant| SIEVE.iter().all(|(_, lack)| lack(grant, request).is_none());
    request.tenant.grants.iter().filter(lacks_nothing).any(|grant| grant.allow.contains(&allowance))
}

/// Two resources that write to one place would take turns at it for ever: the older one keeps it.
#[must_use]
pub fn conflict(request: &Request<'_>, elders: &[Elder]) -> Option<Refusal> {
    let declared = scene::declared(request);
    let (elder, target) = elders.iter().find_map(|elder| {
        let target = declared.iter().find(|target| elder.publishes_to.contains(&target.place()))?;
        Some((elder, target))
    })?;
    Some(Refusal::new(
        Reason::TargetConflict,
        format!(
            "{} publishes to {target} too, and is older, so it keeps it. Choose another name in spec.publish, or delete one \
             of the two.",
            elder.name
        ),
    ))
}

/// Rotating the credential that one stands on with the machinery that needs it could lock the operator out for good.
fn own_application(request: &Request<'_>) -> Option<Refusal> {
    operator_client_ids(request).any(|own| own == request.spec.client_id).then(|| {
        Refusal::new(
            Reason::OwnApplication,
            format!(
                "Application {} is one that Keywright itself signs in as (EntraTenant {}, or its surroundings); its own \
                 application is never a target. Declare the application of your workload in spec.clientId.",
                request.spec.client_id, request.tenant_name
            ),
        )
    })
}

/// Every application that the operator may sign in as, as far as anything says so.
fn operator_client_ids(request: &Request<'_>) -> impl Iterator<Item = ClientId> {
    let identity = request.tenant.identity.as_ref();
    let by_secret = identity.and_then(|one| one.client_secret.as_ref()).map(|by| by.client_id);
    let by_certificate = identity.and_then(|one| one.certificate.as_ref()).map(|by| by.client_id);
    let federated = identity.and_then(|one| one.workload_identity.as_ref()).and_then(|by| by.client_id);
    let managed = identity.and_then(|one| one.managed_identity.as_ref()).and_then(|by| by.client_id);
    [by_secret, by_certificate, federated, managed, request.ambient_client_id].into_iter().flatten()
}

fn not_granted(request: &Request<'_>) -> Option<Refusal> {
    let mut left: Vec<&Grant> = request.tenant.grants.iter().collect();
    for (reason, lack) in SIEVE {
        let (lacking, allowing): (Vec<_>, Vec<_>) =
            left.iter().map(|grant| (*grant, lack(grant, request))).partition(|(_, lack)| lack.is_some());
        if allowing.is_empty() {
            let what = match lacking.into_iter().find_map(|(grant, lack)| Some((grant, lack?))) {
                Some((grant, lack)) if reason != Reason::NamespaceNotGranted => {
                    format!("Grant {} of EntraTenant {} {lack}", grant.name, request.tenant_name)
                }
                _ => format!("No grant of EntraTenant {} {}", request.tenant_name, for_this_namespace(request)),
            };
            return Some(Refusal::new(reason, what));
        }
        left = allowing.into_iter().map(|(grant, _)| grant).collect();
    }
    None
}

fn for_this_namespace(request: &Request<'_>) -> String {
    let namespace = request.namespace;
    format!(
        "is for namespace {namespace}. Ask the platform team for one, with namespaces.names: [{namespace}] and clientIds: [{}].",
        request.spec.client_id
    )
}

fn namespace(grant: &Grant, request: &Request<'_>) -> Option<String> {
    let granted = &grant.namespaces;
    let by_name = granted.names.iter().flatten().any(|name| name.as_str() == request.namespace);
    let by_label = granted.selector.as_ref().is_some_and(|selector| selects(selector, request));
    (!by_name && !by_label).then(|| for_this_namespace(request))
}

/// As everywhere in Kubernetes: all labels and all tests must hold. An empty selector selects nothing here.
fn selects(selector: &Selector, request: &Request<'_>) -> bool {
    let labels = request.namespace_labels;
    let empty = selector.match_labels.is_empty() && selector.match_expressions.is_empty();
    let equal = selector.match_labels.iter().all(|(key, value)| labels.get(key) == Some(&value.0));
    let passes = |test: &LabelTest| {
        let value = labels.get(&test.key);
        let listed = value.is_some_and(|value| test.values.iter().any(|one| one.0 == *value));
        match test.operator {
            LabelOperator::In => listed,
            LabelOperator::NotIn => !listed,
            LabelOperator::Exists => value.is_some(),
            LabelOperator::DoesNotExist => value.is_none(),
        }
    };
    !empty && equal && selector.match_expressions.iter().all(passes)
}

fn application(grant: &Grant, request: &Request<'_>) -> Option<String> {
    let client_id = request.spec.client_id;
    (!grant.client_ids.contains(&client_id)).then(|| {
        format!("does not list application {client_id}. Ask the platform team to add it to clientIds, if it is yours.")
    })
}

fn kind(grant: &Grant, request: &Request<'_>) -> Option<String> {
    (!grant.kinds.contains(&request.kind)).then(|| {
        format!(
            "does not allow credentials of kind {:?}. Ask the platform team to add it to kinds, or declare one of {}.",
            request.kind,
            list(grant.kinds.iter().map(|kind| format!("{kind:?}")))
        )
    })
}

fn issuers(grant: &Grant, request: &Request<'_>) -> Option<String> {
    let outside = request.spec.federated.iter().flat_map(|federated| &federated.identities);
    let refused = outside.filter_map(|identity| identity.external.as_ref()).find(|one| !federates(grant, one))?;
    Some(format!(
        "does not allow tokens of issuer {} with subject {}. Ask the platform team to add them to \
         federation.externalIssuers and federation.externalSubjects.",
        refused.issuer, refused.subject
    ))
}

fn federates(grant: &Grant, identity: &ExternalIdentity) -> bool {
    grant.federation.as_ref().is_some_and(|federation| {
        federation.external_issuers.contains(&identity.issuer)
            && federation
                .external_subjects
                .iter()
                .any(|subject| pattern::matches(subject.as_str(), identity.subject.as_str()))
    })
}

fn vaults(grant: &Grant, request: &Request<'_>) -> Option<String> {
    let written = request.spec.publish.iter().flat_map(|publish| &publish.key_vaults);
    let read = request.spec.adopt.iter().filter_map(|adopt| adopt.value_from.key_vault_ref.as_ref());
    let mut asked = written
        .map(|target| (&target.vault_url, &target.name))
        .chain(read.map(|entry| (&entry.vault_url, &entry.name)));
    let (url, name) = asked.find(|(url, name)| {
        !grant.key_vaults.iter().any(|vault| {
            let named = vault.names.iter().any(|one| pattern::matches(one.as_str(), name.as_str()));
            vault.url == **url && (vault.names.is_empty() || named)
        })
    })?;
    Some(format!(
        "does not allow the entry {name} of Key Vault {url}. Ask the platform team to add it to keyVaults, for example \
         {{url: {url}, names: [{name}]}}."
    ))
}

fn secret_name(grant: &Grant, request: &Request<'_>) -> Option<String> {
    let name = request.secret_name()?;
    let named = grant.secret_names.iter().any(|one| pattern::matches(one.as_str(), name));
    (!grant.secret_names.is_empty() && !named).then(|| {
        format!(
            "does not allow a Secret with the name {name}. Choose a name in spec.publish.secret.name that matches {}, or \
             ask the platform team to add it to secretNames.",
            list(grant.secret_names.iter().map(ToString::to_string))
        )
    })
}

fn retirement(grant: &Grant, request: &Request<'_>) -> Option<String> {
    let retirement = request.spec.retirement.as_ref()?;
    let asked = [
        (!retirement.foreign_key_ids.is_empty(), "foreignKeyIds", Allowance::RetireForeign),
        (!retirement.compromised_key_ids.is_empty(), "compromisedKeyIds", Allowance::RevokeCompromised),
    ];
    let (_, field, allowance) = asked.into_iter().find(|(asked, _, needed)| *asked && !grant.allow.contains(needed))?;
    Some(format!(
        "does not allow spec.retirement.{field}. Remove it, or ask the platform team to add {allowance:?} to allow."
    ))
}

/// `a, b or c`, for a sentence.
fn list(items: impl Iterator<Item = String>) -> String {
    let items: Vec<String> = items.collect();
    match items.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => String::new(),
    }
}
