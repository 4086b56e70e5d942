"""Signing in with a client secret, as azure-identity and msal do it: what they get, and what they say when they are
refused."""

import re
import time
import traceback
from typing import Any
from uuid import uuid4

import jwt
import msal
import pytest
import requests
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import AzureAuthorityHosts, ClientSecretCredential, EnvironmentCredential

GRAPH = "https://graph.microsoft.com/.default"
VAULT = "https://vault.azure.net/.default"
ID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
# AZURE 4.2: what support asks for is in the text.
REFUSAL = re.compile(
    rf"AADSTS(?P<code>\d+): .+ Trace ID: (?P<trace>{ID}) Correlation ID: (?P<correlation>{ID}) "
    r"Timestamp: \d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ",
    re.DOTALL,
)


def identity(application, secret, tenant=None, **options):
    return ClientSecretCredential(tenant or application.tenant.id, application.client_id, secret, **options)


def confidential(application, secret, tenant=None, host="https://login.microsoftonline.com", **options):
    authority = f"{host}/{tenant or application.tenant.id}"
    return msal.ConfidentialClientApplication(application.client_id, secret, authority=authority, **options)


def refused_identity(application, secret, scope=GRAPH) -> str:
    with pytest.raises(ClientAuthenticationError) as refused:
        identity(application, secret).get_token(scope)
    return refused.value.message


def refused_msal(application, secret, scope=GRAPH) -> str:
    result = confidential(application, secret).acquire_token_for_client([scope])
    assert "access_token" not in result
    return result["error_description"]


@pytest.fixture(params=[refused_identity, refused_msal], ids=["azure-identity", "msal"])
def refused(request):
    """How a client is refused, in its own words."""
    return request.param


def code_of(text: str) -> int:
    match = REFUSAL.search(text)
    assert match, f"it carries no code, trace ID, correlation ID and timestamp: {text}"
    return int(match["code"])


def claims_of(token: str) -> dict[str, Any]:
    return jwt.decode(token, options={"verify_signature": False})


# What they get


def test_azure_identity_gets_a_token_that_says_who_it_is_for(tenant):
    """AZURE 4.1: an hour, for the resource, with the application permissions as roles."""
    operator = tenant.operator("Application.ReadWrite.OwnedBy")
    token = identity(operator, operator.password().value).get_token(GRAPH)
    assert token.expires_on == pytest.approx(time.time() + 3599, abs=30)
    claims = claims_of(token.token)
    assert claims["aud"] == "https://graph.microsoft.com"
    assert claims["iss"] == claims["idp"] == f"https://sts.windows.net/{tenant.id}/"
    assert (claims["tid"], claims["appid"], claims["idtyp"]) == (tenant.id, operator.client_id, "app")
    assert claims["oid"] == claims["sub"] == operator.principal
    assert (claims["ver"], claims["appidacr"]) == ("1.0", "1")
    assert claims["roles"] == ["Application.ReadWrite.OwnedBy"]
    assert claims["nbf"] <= time.time() < claims["exp"] <= time.time() + 3630


def test_msal_gets_a_token_and_keeps_it(tenant):
    payments = tenant.application()
    client = confidential(payments, payments.password().value)
    first = client.acquire_token_for_client([GRAPH])
    assert (first["token_type"], first["expires_in"], first["token_source"]) == ("Bearer", 3599, "identity_provider")
    second = client.acquire_token_for_client([GRAPH])
    assert (second["access_token"], second["token_source"]) == (first["access_token"], "cache")
    assert payments.sign_ins() == [200]


def test_a_token_needs_no_role(tenant):
    """AZURE 3: application tokens are issued without roles as well."""
    payments = tenant.application()
    token = identity(payments, payments.password().value).get_token(GRAPH).token
    assert "roles" not in claims_of(token)


def test_a_token_is_signed_by_a_published_key(tenant):
    """Checked as a resource checks it, from the discovery document on."""
    payments = tenant.application()
    token = identity(payments, payments.password().value).get_token(VAULT).token
    metadata = requests.get(
        f"https://login.microsoftonline.com/{tenant.id}/v2.0/.well-known/openid-configuration", timeout=30
    ).json()
    assert metadata["issuer"] == f"https://login.microsoftonline.com/{tenant.id}/v2.0"
    key = jwt.PyJWKClient(metadata["jwks_uri"]).get_signing_key_from_jwt(token)
    claims = jwt.decode(
        token,
        key,
        algorithms=["RS256"],
        audience="https://vault.azure.net",
        issuer=f"https://sts.windows.net/{tenant.id}/",
    )
    assert claims["appid"] == payments.client_id


def test_a_tenant_may_be_called_by_its_domain(tenant):
    tenant.edit(domain=f"contoso-{tenant.id[:8]}.onmicrosoft.com")
    payments = tenant.application()
    credential = identity(payments, payments.password().value, f"contoso-{tenant.id[:8]}.onmicrosoft.com")
    assert claims_of(credential.get_token(GRAPH).token)["tid"] == tenant.id


def test_a_pod_signs_in_with_what_is_in_its_environment(tenant, monkeypatch):
    payments = tenant.application()
    monkeypatch.setenv("AZURE_TENANT_ID", tenant.id)
    monkeypatch.setenv("AZURE_CLIENT_ID", payments.client_id)
    monkeypatch.setenv("AZURE_CLIENT_SECRET", payments.password().value)
    assert claims_of(EnvironmentCredential().get_token(VAULT).token)["appid"] == payments.client_id


@pytest.mark.parametrize(
    ("host", "graph"),
    [
        (AzureAuthorityHosts.AZURE_GOVERNMENT, "https://graph.microsoft.us"),
        (AzureAuthorityHosts.AZURE_GOVERNMENT, "https://dod-graph.microsoft.us"),
        (AzureAuthorityHosts.AZURE_CHINA, "https://microsoftgraph.chinacloudapi.cn"),
    ],
)
def test_national_clouds_have_their_own_hosts(tenant, host, graph):
    """AZURE 6, national clouds."""
    payments = tenant.application()
    credential = identity(payments, payments.password().value, authority=host)
    assert claims_of(credential.get_token(f"{graph}/.default").token)["aud"] == graph


def test_a_custom_cloud_is_wherever_it_is(azure, tenant):
    """Through the free endpoints, past the proxy."""
    payments = tenant.application()
    secret, scope = payments.password().value, f"{azure.graph}/.default"
    credential = identity(payments, secret, authority=azure.authority, disable_instance_discovery=True)
    assert claims_of(credential.get_token(scope).token)["aud"] == azure.graph
    client = confidential(payments, secret, host=azure.authority, instance_discovery=False)
    assert claims_of(client.acquire_token_for_client([scope])["access_token"])["aud"] == azure.graph


# What they say when they are refused


def test_a_wrong_secret(tenant, refused):
    """AZURE 4.3: 7000215."""
    payments = tenant.application()
    payments.password()
    text = refused(payments, "abc8Q~" + "x" * 34)
    assert code_of(text) == 7000215
    assert f"for a secret added to app '{payments.client_id}'" in text
    assert payments.sign_ins() == [401]


def test_the_id_of_a_secret_instead_of_its_value(tenant, refused):
    """AZURE 4.3: 7000215 as well; only the simulator knows better."""
    payments = tenant.application()
    text = refused(payments, payments.password().key_id)
    assert code_of(text) == 7000215
    assert "not the client secret ID" in text
    assert [one["cause"] for one in tenant.refused()] == ["idForValue"]


def test_an_expired_secret(calm, refused):
    """AZURE 4.3: 7000222."""
    payments = calm.application()
    password = payments.password()
    payments.administer("PATCH", f"/passwords/{password.key_id}", {"endDateTime": "2026-01-01T00:00:00Z"})
    text = refused(payments, password.value)
    assert code_of(text) == 7000222
    assert f"for app '{payments.client_id}' are expired" in text
    assert payments.sign_ins() == [401]


def test_a_secret_that_is_not_valid_yet(tenant, refused):
    payments = tenant.application()
    password = payments.password(startDateTime="2099-01-01T00:00:00Z", endDateTime="2099-02-01T00:00:00Z")
    assert code_of(refused(payments, password.value)) == 7000215


def test_a_removed_secret(calm, refused):
    """AZURE 4.3: 7000215, whether it is wrong, removed or not yet known."""
    payments = calm.application()
    password = payments.password()
    payments.administer("DELETE", f"/passwords/{password.key_id}")
    assert code_of(refused(payments, password.value)) == 7000215
    assert [one["cause"] for one in calm.refused()] == ["removed"]


def test_a_new_secret_is_refused_until_replicas_know_it(tenant, refused, until):
    """AZURE 3: with 7000215, like a wrong one; only the simulator knows better."""
    payments = tenant.application()
    tenant.edit(lag=[60_000, 60_000])
    password = payments.password(lagging=True)
    assert code_of(refused(payments, password.value)) == 7000215
    assert [one["cause"] for one in tenant.refused()] == ["notYetKnown"]
    # Whoever hears of a later change has heard of this one.
    tenant.edit(lag=[80, 360])
    payments.password(lagging=True)
    until(lambda: "access_token" in confidential(payments, password.value).acquire_token_for_client([GRAPH]))


def test_an_unknown_application(tenant, refused):
    """AZURE 4.3: 700016."""
    payments = tenant.application()
    elsewhere = tenant.azure.new_tenant().application()
    stranger = type(payments)(tenant, elsewhere.client_id, elsewhere.object_id, elsewhere.principal)
    text = refused(stranger, "abc8Q~" + "x" * 34)
    assert code_of(text) == 700016
    assert f"Application with identifier '{elsewhere.client_id}' was not found in the directory" in text
    assert payments.sign_ins() == [400]


def test_an_unknown_tenant(tenant):
    """AZURE 4.3: 90002, which both clients meet while they look for the tenant's endpoints. They tell it as the cause
    of something more general."""
    payments, nowhere = tenant.application(), str(uuid4())
    asks = (
        lambda: identity(payments, "secret", nowhere).get_token(GRAPH),
        lambda: confidential(payments, "secret", nowhere).acquire_token_for_client([GRAPH]),
    )
    for ask, kind in zip(asks, (ClientAuthenticationError, ValueError), strict=True):
        with pytest.raises(kind, match=f"Unable to get authority configuration for .+{nowhere}") as refused:
            ask()
        assert code_of("".join(traceback.format_exception(refused.value))) == 90002


def test_an_unknown_instance(tenant):
    """AZURE 4.3: 50049; a client that does not know a host asks one that it knows, and believes the refusal."""
    with pytest.raises(ValueError, match="invalid_instance"):
        confidential(tenant.application(), "secret", host="https://login.example.com").acquire_token_for_client([GRAPH])


@pytest.mark.parametrize(
    ("scope", "code"),
    [
        ("https://graph.microsoft.com/Application.Read.All", 1002012),
        ("https://graph.microsoft.com/.default https://vault.azure.net/.default", 70011),
        ("https://nobody.example/.default", 500011),
    ],
)
def test_a_wrong_scope(tenant, refused, scope, code):
    """AZURE 4.3: the scope is told wrong before anybody looks at the secret."""
    payments = tenant.application()
    payments.password()
    assert code_of(refused(payments, "wrong", scope)) == code
    assert payments.sign_ins() == [400]


def test_a_disabled_application(calm, refused):
    """AZURE 4.3: 7000112."""
    payments = calm.application()
    password = payments.password()
    payments.administer("PATCH", body={"disabled": True})
    text = refused(payments, password.value)
    assert code_of(text) == 7000112
    assert f"Application '{payments.client_id}'(payments) is disabled" in text


def test_an_application_without_service_principal(calm, refused):
    """AZURE 4.3: 7000229."""
    payments = calm.application()
    password = payments.password()
    payments.administer("DELETE", "/principal")
    assert code_of(refused(payments, password.value)) == 7000229
    assert payments.sign_ins() == [401]


def test_conditional_access_blocks_and_says_which_policy(tenant):
    """AZURE 4.3: 53003; the secret was right."""
    payments = tenant.application()
    password = payments.password()
    payments.administer("PATCH", body={"blocked": True})
    assert code_of(refused_identity(payments, password.value)) == 53003
    result = confidential(payments, password.value).acquire_token_for_client([GRAPH])
    assert (result["suberror"], "capolids" in result["claims"]) == ("message_only", True)


def test_every_part_of_a_refusal_says_the_same(tenant):
    """AZURE 4.2: the fields, the text, the header that the client sent, and what the simulator remembers."""
    payments = tenant.application()
    answers = []
    session = requests.Session()
    session.hooks["response"] = lambda answer, **_: answers.append(answer)
    client = confidential(payments, "wrong", http_client=session)
    result = client.acquire_token_for_client([GRAPH])
    (answer,) = [one for one in answers if one.request.method == "POST"]
    match = REFUSAL.search(result["error_description"])
    assert (result["error"], result["error_codes"], int(match["code"])) == ("invalid_client", [7000215], 7000215)
    assert result["error_uri"] == "https://login.microsoftonline.com/error?code=7000215"
    assert result["timestamp"] in match[0]
    asked = answer.request.headers["client-request-id"]
    assert result["correlation_id"] == match["correlation"] == asked
    assert result["trace_id"] == match["trace"] == answer.headers["x-ms-request-id"]
    assert [(one["traceId"], one["code"]) for one in tenant.refused()] == [(match["trace"], 7000215)]


# When there are too many


def throttled(tenant, **action):
    action = {"answer": {"status": 429, **action}}
    return tenant.azure.fault("token", "signIn", f"/{tenant.id}/oauth2/v2.0/token", action, times=1)


def test_azure_identity_waits_as_long_as_it_is_told(tenant):
    """AZURE 2: 429 with Retry-After."""
    payments = tenant.application()
    with throttled(tenant, retryAfter=1):
        began = time.monotonic()
        assert identity(payments, payments.password().value).get_token(GRAPH).token
    assert time.monotonic() - began >= 1
    assert payments.sign_ins() == [429, 200]


def test_azure_identity_tells_when_it_may_not_wait(tenant):
    payments = tenant.application()
    with throttled(tenant, retryAfter=60), pytest.raises(ClientAuthenticationError) as refused:
        identity(payments, payments.password().value, retry_total=0).get_token(GRAPH)
    assert code_of(refused.value.message) == 90055


def test_msal_stays_away_as_long_as_it_is_told(tenant):
    """It does not even ask: within Retry-After it answers what it was answered."""
    payments = tenant.application()
    client = confidential(payments, payments.password().value)
    with throttled(tenant, retryAfter=60):
        first, second = client.acquire_token_for_client([GRAPH]), client.acquire_token_for_client([GRAPH])
    assert first["error"] == second["error"] == "temporarily_unavailable"
    assert code_of(first["error_description"]) == 90055
    assert payments.sign_ins() == [429]


def test_clients_stumble_over_a_429_without_json(tenant):
    """AZURE 2: the body may be plain text."""
    payments = tenant.application()
    password = payments.password()
    with throttled(tenant, retryAfter=60, body="Too Many Requests"), pytest.raises(ClientAuthenticationError):
        identity(payments, password.value, retry_total=0).get_token(GRAPH)
    with throttled(tenant, retryAfter=60, body="Too Many Requests"), pytest.raises(ValueError):
        confidential(payments, password.value).acquire_token_for_client([GRAPH])
    assert payments.sign_ins() == [429, 429]
