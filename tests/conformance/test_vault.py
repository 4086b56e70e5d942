"""Secrets in a vault, by azure-keyvault-secrets: the challenge, versions, deleted ones, and who may (AZURE 6)."""

from datetime import datetime, timedelta, timezone

import pytest
from azure.core import PipelineClient
from azure.core.exceptions import (
    ClientAuthenticationError,
    HttpResponseError,
    ResourceExistsError,
    ResourceNotFoundError,
    ServiceRequestError,
)
from azure.core.pipeline.policies import BearerTokenCredentialPolicy
from azure.core.rest import HttpRequest
from azure.identity import AzureAuthorityHosts, ClientSecretCredential
from azure.keyvault.secrets import SecretClient

from conftest import refusal

GRAPH = "https://graph.microsoft.com/.default"


def client(vault, application, **options):
    secret = application.password().value
    credential = ClientSecretCredential(application.tenant.id, application.client_id, secret)
    return SecretClient(vault.url, credential, **options)


@pytest.fixture
def secrets(vault):
    """The client of somebody who may do everything."""
    officer = vault.tenant.application("officer")
    vault.grant(officer, role="SecretsOfficer")
    with client(vault, officer) as secrets:
        yield secrets


def test_a_secret_is_set_and_got_with_all_that_is_written_about_it(vault, secrets):
    expires = datetime.now(timezone.utc).replace(microsecond=0) + timedelta(days=90)
    tags = {"clientId": "8f3c", "keyId": "7c1e"}
    put = secrets.set_secret("payments", "value", tags=tags, content_type="text/plain", expires_on=expires)
    got = secrets.get_secret("payments")
    assert (got.value, got.id, got.properties.version) == ("value", put.id, put.properties.version)
    known = got.properties
    assert (known.tags, known.content_type, known.expires_on, known.enabled) == (tags, "text/plain", expires, True)
    assert (known.recovery_level, known.recoverable_days) == ("Recoverable+Purgeable", 90)
    assert known.vault_url == vault.url and abs(datetime.now(timezone.utc) - known.created_on) < timedelta(minutes=1)


def test_the_challenge_comes_once(vault, secrets):
    """First without a token and without a body; then the client knows whom to ask."""
    secrets.set_secret("payments", "one")
    secrets.set_secret("payments", "two")
    assert vault.asked("setSecret") == [401, 200, 200]


def test_versions_are_kept_and_disabled_one_by_one(secrets):
    old, new = secrets.set_secret("payments", "old"), secrets.set_secret("payments", "new")
    listed = {known.version for known in secrets.list_properties_of_secret_versions("payments", max_page_size=1)}
    assert listed == {old.properties.version, new.properties.version}
    assert secrets.get_secret("payments", old.properties.version).value == "old"
    change = {"enabled": False, "tags": {"retired": "yes"}}
    edited = secrets.update_secret_properties("payments", old.properties.version, **change)
    assert (edited.enabled, edited.tags) == (False, {"retired": "yes"})
    with pytest.raises(HttpResponseError, match="Operation get is not allowed on a disabled secret.") as refused:
        secrets.get_secret("payments", old.properties.version)
    assert refusal(refused) == (403, "Forbidden", "SecretDisabled")
    assert secrets.get_secret("payments").value == "new"


def test_secrets_are_listed_page_by_page(vault, secrets):
    names = {f"listed-{number}" for number in range(7)}
    for name in names:
        secrets.set_secret(name, "value")
    assert {known.name for known in secrets.list_properties_of_secrets(max_page_size=3)} == names
    assert vault.asked("listSecrets") == [200, 200, 200]


def test_a_deleted_secret_is_recovered(vault, secrets):
    put = secrets.set_secret("payments", "value", tags={"keyId": "7c1e"})
    deleted = secrets.begin_delete_secret("payments").result()
    assert deleted.recovery_id == f"{vault.url}/deletedsecrets/payments"
    assert deleted.scheduled_purge_date - deleted.deleted_date == timedelta(days=90)
    assert [one.name for one in secrets.list_deleted_secrets()] == ["payments"]
    with pytest.raises(ResourceNotFoundError, match="payments was not found in this key vault") as refused:
        secrets.get_secret("payments")
    assert refusal(refused) == (404, "SecretNotFound", None)
    with pytest.raises(ResourceExistsError, match="is currently in a deleted but recoverable state") as refused:
        secrets.set_secret("payments", "other")
    assert refusal(refused) == (409, "Conflict", "ObjectIsDeletedButRecoverable")
    recovered = secrets.begin_recover_deleted_secret("payments").result()
    assert (recovered.version, recovered.tags) == (put.properties.version, {"keyId": "7c1e"})
    assert secrets.get_secret("payments").value == "value"


def test_a_purged_secret_is_gone(secrets):
    secrets.set_secret("payments", "value")
    secrets.begin_delete_secret("payments").result()
    secrets.purge_deleted_secret("payments")
    with pytest.raises(ResourceNotFoundError, match="Deleted Secret not found: payments"):
        secrets.get_deleted_secret("payments")
    assert secrets.set_secret("payments", "again").value == "again"


def test_a_deletion_and_a_recovery_are_waited_for(vault, secrets):
    secrets.set_secret("payments", "value")
    vault.edit(deletionLag=[1_500, 1_500], recoveryLag=[1_500, 1_500])
    deletion = secrets.begin_delete_secret("payments")
    with pytest.raises(ResourceExistsError, match="is currently being deleted") as refused:
        secrets.set_secret("payments", "other")
    assert refusal(refused) == (409, "Conflict", "ObjectIsBeingDeleted")
    deletion.wait()
    recovery = secrets.begin_recover_deleted_secret("payments")
    with pytest.raises(ResourceExistsError, match="is currently being recovered") as refused:
        secrets.set_secret("payments", "other")
    assert refusal(refused) == (409, "Conflict", "ObjectIsBeingRecovered")
    recovery.wait()
    assert secrets.get_secret("payments").value == "value"


def test_who_may_not_is_told_what_is_missing(vault, secrets):
    secrets.set_secret("payments", "value")
    reader, stranger = vault.tenant.application("reader"), vault.tenant.application("stranger")
    vault.grant(reader, role="SecretsUser")
    with client(vault, stranger) as strangers, pytest.raises(HttpResponseError) as refused:
        strangers.get_secret("payments")
    assert refusal(refused) == (403, "Forbidden", "ForbiddenByRbac")
    assert "Action: 'Microsoft.KeyVault/vaults/secrets/getSecret/action'" in refused.value.message
    assert f"appid={stranger.client_id};oid={stranger.principal}" in refused.value.message
    with client(vault, reader) as readers:
        assert readers.get_secret("payments").value == "value"
        with pytest.raises(HttpResponseError, match="setSecret/action") as refused:
            readers.set_secret("payments", "other")
        assert refusal(refused) == (403, "Forbidden", "ForbiddenByRbac")


def test_a_role_becomes_known_in_time(vault, secrets, until):
    """AZURE 3: 403 right after the grant."""
    secrets.set_secret("payments", "value")
    reader = vault.tenant.application("reader")
    vault.edit(roleLag=[60_000, 60_000])
    vault.grant(reader, role="SecretsUser", lagging=True)
    with client(vault, reader) as readers:
        with pytest.raises(HttpResponseError, match="observe propagation time"):
            readers.get_secret("payments")
        vault.edit(roleLag=[80, 360])
        vault.grant(reader, role="SecretsUser", lagging=True)
        assert until(lambda: may_read(readers, "payments"))


def may_read(readers, name):
    try:
        return readers.get_secret(name).value == "value"
    except HttpResponseError as refused:
        assert refused.status_code == 403
        return False


@pytest.mark.parametrize(
    ("settings", "inner"),
    [
        ({"network": "firewall"}, {"ForbiddenByFirewall"}),
        ({"network": "private"}, {"ForbiddenByConnection"}),
        ({"access": "policies"}, {"AccessDenied", "ForbiddenByPolicy"}),
    ],
)
def test_what_is_forbidden_has_its_inner_code(vault, settings, inner):
    vault.edit(**settings)
    with client(vault, vault.tenant.application()) as secrets, pytest.raises(HttpResponseError) as refused:
        secrets.get_secret("payments")
    status, code, seen = refusal(refused)
    assert (status, code, seen in inner) == (403, "Forbidden", True)


def test_a_wrong_secret_fails_at_sign_in(vault):
    payments = vault.tenant.application()
    credential = ClientSecretCredential(vault.tenant.id, payments.client_id, "wrong")
    with SecretClient(vault.url, credential) as secrets:
        with pytest.raises(ClientAuthenticationError, match="AADSTS7000215"):
            secrets.get_secret("payments")


def test_the_challenge_leads_into_the_tenant_of_the_vault(vault):
    """A client of another tenant does not follow unless it may, and is not known there."""
    stranger = vault.tenant.azure.new_tenant().application()
    secret = stranger.password().value
    for allowed, said in ([], "not configured to acquire tokens for tenant"), (["*"], "AADSTS700016"):
        credential = ClientSecretCredential(
            stranger.tenant.id, stranger.client_id, secret, additionally_allowed_tenants=allowed
        )
        with SecretClient(vault.url, credential) as secrets, pytest.raises(ClientAuthenticationError, match=said):
            secrets.get_secret("payments")


@pytest.mark.parametrize(
    ("scope", "said"),
    [("https://vault.azure.net/.default", "AKV10032: Invalid issuer"), (GRAPH, "AKV10022: Invalid audience")],
)
def test_a_token_of_another_tenant_or_for_another_resource_is_challenged(vault, scope, said):
    stranger = vault.tenant.azure.new_tenant().application()
    credential = ClientSecretCredential(stranger.tenant.id, stranger.client_id, stranger.password().value)
    pipeline = PipelineClient(vault.url, policies=[BearerTokenCredentialPolicy(credential, scope)])
    answer = pipeline.send_request(HttpRequest("GET", f"{vault.url}/secrets/payments?api-version=7.6"))
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (401, "Unauthorized")
    assert error["message"].startswith(said)
    assert f'authorization="https://login.microsoftonline.com/{vault.tenant.id}"' in answer.headers["www-authenticate"]


def test_what_does_not_fit_is_refused(secrets):
    """Names, values of 25 KB, 15 tags."""
    with pytest.raises(HttpResponseError, match="The request URI contains an invalid name: a_b") as refused:
        secrets.set_secret("a_b", "value")
    assert refusal(refused) == (400, "BadParameter", None)
    assert secrets.set_secret("payments", "v" * 25_600).value
    for value, tags in (("v" * 25_601, {}), ("value", {str(number): "tag" for number in range(16)})):
        with pytest.raises(HttpResponseError) as refused:
            secrets.set_secret("payments", value, tags=tags)
        assert refusal(refused)[:2] == (400, "BadParameter")


def test_a_throttled_write_is_repeated(vault, secrets):
    """AZURE 2: 429 without Retry-After; the client backs off by itself."""
    secrets.set_secret("payments", "value")
    action = {"answer": {"status": 429}}
    with vault.tenant.azure.fault("vault", "setSecret", f"/{vault.name}/**", action, times=1):
        assert secrets.set_secret("payments", "again").value == "again"
    assert vault.asked("setSecret")[-2:] == [429, 200]


@pytest.mark.parametrize("version", ["7.5", "7.6", "2025-07-01"])
def test_versions_of_the_interface_are_accepted(vault, version):
    payments = vault.tenant.application()
    vault.grant(payments, role="SecretsOfficer")
    with client(vault, payments, api_version=version) as secrets:
        assert secrets.set_secret("payments", version).value == secrets.get_secret("payments").value == version


@pytest.mark.parametrize(
    ("host", "suffix"),
    [(AzureAuthorityHosts.AZURE_GOVERNMENT, "usgovcloudapi.net"), (AzureAuthorityHosts.AZURE_CHINA, "azure.cn")],
)
def test_national_clouds_have_their_own_vaults(vault, host, suffix):
    """AZURE 6, national clouds: host name, and the resource that the challenge names."""
    payments = vault.tenant.application()
    vault.grant(payments, role="SecretsOfficer")
    secret, url = payments.password().value, f"https://{vault.name}.vault.{suffix}"
    credential = ClientSecretCredential(vault.tenant.id, payments.client_id, secret, authority=host)
    with SecretClient(url, credential) as secrets:
        assert secrets.set_secret("payments", "value").id.startswith(f"{url}/secrets/payments/")


def test_a_custom_cloud_takes_the_client_as_far_as_ids_are_read(azure, vault):
    """At the free endpoint a vault can be a path. The client follows the challenge, if it is told not to mind the host,
    and is served; but it reads IDs as if vaults were hosts."""
    payments = vault.tenant.application()
    vault.grant(payments, role="SecretsOfficer")
    options = {"authority": azure.authority, "disable_instance_discovery": True}
    credential = ClientSecretCredential(vault.tenant.id, payments.client_id, payments.password().value, **options)
    with SecretClient(f"{azure.vault}/{vault.name}", credential, verify_challenge_resource=False) as secrets:
        with pytest.raises(ValueError, match="is not a valid ID"):
            secrets.set_secret("payments", "value")
    assert vault.asked("setSecret") == [401, 200]


def test_a_custom_cloud_has_vaults_as_hosts(azure, vault):
    """AZURE 6 and 9: the client compares the host with the resource of the challenge, and reads versions from IDs."""
    payments = vault.tenant.application()
    vault.grant(payments, role="SecretsOfficer")
    options = {"authority": azure.authority, "disable_instance_discovery": True}
    credential = ClientSecretCredential(vault.tenant.id, payments.client_id, payments.password().value, **options)
    with SecretClient(f"https://{vault.name}.{azure.vault_suffix}", credential) as secrets:
        put = secrets.set_secret("payments", "value", tags={"keyId": "7c1e"})
        assert secrets.get_secret("payments", put.properties.version).value == "value"
        versions = secrets.list_properties_of_secret_versions("payments")
        assert [known.version for known in versions] == [put.properties.version]
    assert vault.asked("setSecret") == [401, 200]


def test_a_vault_that_nobody_created_has_no_address(azure, tenant):
    """AZURE 6: its name is that of a host, which nobody knows; the client never gets as far as an answer."""
    payments = tenant.application()
    credential = ClientSecretCredential(tenant.id, payments.client_id, payments.password().value)
    for url in ("https://kv-nowhere.vault.azure.net", f"https://kv-nowhere.{azure.vault_suffix}"):
        with SecretClient(url, credential, retry_total=0) as secrets, pytest.raises(ServiceRequestError):
            secrets.get_secret("payments")
