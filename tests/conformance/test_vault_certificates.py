"""Certificates in a vault, by azure-keyvault-certificates: importing, what is told of them, deleted ones, who may, and the
secret that comes with each, with which azure-identity signs in (AZURE 6)."""

import pytest
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.identity import CertificateCredential, ClientSecretCredential
from azure.keyvault.certificates import (
    CertificateClient,
    CertificateContentType,
    CertificatePolicy,
    KeyType,
    WellKnownIssuerNames,
)
from azure.keyvault.secrets import SecretClient
from cryptography.hazmat.primitives import hashes, serialization

from conftest import refusal
from test_certificates import GRAPH, client_of, make

PEM = CertificatePolicy(issuer_name=WellKnownIssuerNames.unknown, content_type=CertificateContentType.pem)


@pytest.fixture(scope="module")
def made():
    return make()


def signed_in(application):
    return ClientSecretCredential(application.tenant.id, application.client_id, application.password().value)


@pytest.fixture
def officer(vault):
    """Somebody who may do everything with secrets and with certificates."""
    officer = vault.tenant.application("officer")
    vault.grant(officer, role="SecretsOfficer")
    vault.grant(officer, role="CertificatesOfficer")
    return signed_in(officer)


@pytest.fixture
def certificates(vault, officer):
    with CertificateClient(vault.url, officer) as certificates:
        yield certificates


@pytest.fixture
def secrets(vault, officer):
    with SecretClient(vault.url, officer) as secrets:
        yield secrets


def test_a_certificate_is_imported_and_got(vault, certificates, made):
    tags = {"keyId": "7c1e"}
    imported = certificates.import_certificate("payments", made.bundle, policy=PEM, tags=tags)
    assert imported.cer == made.certificate.public_bytes(serialization.Encoding.DER)
    assert imported.properties.x509_thumbprint == made.certificate.fingerprint(hashes.SHA1())
    assert (imported.properties.tags, imported.properties.enabled) == (tags, True)
    assert imported.properties.expires_on == made.certificate.not_valid_after_utc.replace(microsecond=0)
    assert imported.key_id.startswith(f"{vault.url}/keys/payments/")
    assert imported.secret_id.startswith(f"{vault.url}/secrets/payments/")
    policy = imported.policy
    assert (policy.content_type, policy.key_type, policy.key_size) == (CertificateContentType.pem, KeyType.rsa, 2048)
    assert (policy.exportable, policy.subject, policy.issuer_name) == (True, "CN=payments", "Unknown")
    got = certificates.get_certificate("payments")
    assert (got.id, got.cer, got.properties.version) == (imported.id, imported.cer, imported.properties.version)
    assert certificates.get_certificate_version("payments", imported.properties.version).cer == imported.cer
    assert vault.asked("importCertificate") == [401, 200]


def test_its_secret_lets_a_program_sign_in(vault, certificates, secrets, made):
    imported = certificates.import_certificate("payments", made.bundle, policy=PEM)
    secret = secrets.get_secret("payments")
    known = secret.properties
    assert (known.content_type, known.managed, known.key_id) == ("application/x-pem-file", True, imported.key_id)
    assert known.version == imported.properties.version
    payments = vault.tenant.application()
    payments.certificate(made.pem)
    credential = CertificateCredential(vault.tenant.id, payments.client_id, certificate_data=secret.value.encode())
    assert client_of(credential.get_token(GRAPH).token) == payments.client_id


def test_versions_are_listed_and_edited_one_by_one(certificates, secrets, made):
    old = certificates.import_certificate("payments", made.bundle, policy=PEM)
    new = certificates.import_certificate("payments", make().bundle, policy=PEM)
    listed = certificates.list_properties_of_certificate_versions("payments", max_page_size=1)
    assert {known.version for known in listed} == {old.properties.version, new.properties.version}
    assert [known.name for known in certificates.list_properties_of_certificates()] == ["payments"]
    edited = certificates.update_certificate_properties(
        "payments", old.properties.version, enabled=False, tags={"retired": "yes"}
    )
    assert (edited.properties.enabled, edited.properties.tags) == (False, {"retired": "yes"})
    with pytest.raises(HttpResponseError) as refused:
        secrets.get_secret("payments", old.properties.version)
    assert refusal(refused) == (403, "Forbidden", "SecretDisabled")
    assert certificates.get_certificate("payments").properties.enabled


def test_a_deleted_certificate_is_recovered_or_purged(vault, certificates, secrets, made):
    imported = certificates.import_certificate("payments", made.bundle, policy=PEM)
    deleted = certificates.begin_delete_certificate("payments").result()
    assert deleted.recovery_id == f"{vault.url}/deletedcertificates/payments"
    assert [one.name for one in certificates.list_deleted_certificates()] == ["payments"]
    with pytest.raises(ResourceNotFoundError, match="A certificate with .name/id. payments was not found") as refused:
        certificates.get_certificate("payments")
    assert refusal(refused) == (404, "CertificateNotFound", None)
    with pytest.raises(ResourceExistsError, match="Certificate payments is currently in a deleted but") as refused:
        certificates.import_certificate("payments", made.bundle, policy=PEM)
    assert refusal(refused) == (409, "Conflict", "ObjectIsDeletedButRecoverable")
    recovered = certificates.begin_recover_deleted_certificate("payments").result()
    assert recovered.properties.version == imported.properties.version
    assert secrets.get_secret("payments").value == made.bundle.decode()
    certificates.begin_delete_certificate("payments").result()
    certificates.purge_deleted_certificate("payments")
    with pytest.raises(ResourceNotFoundError, match="Deleted Certificate not found: payments"):
        certificates.get_deleted_certificate("payments")


def test_a_name_is_a_secret_s_or_a_certificate_s(certificates, secrets, made):
    secrets.set_secret("plain", "value")
    with pytest.raises(ResourceExistsError) as refused:
        certificates.import_certificate("plain", made.bundle, policy=PEM)
    assert refusal(refused) == (409, "Conflict", None)
    certificates.import_certificate("payments", made.bundle, policy=PEM)
    for act in (lambda: secrets.set_secret("payments", "mine"), lambda: secrets.begin_delete_secret("payments")):
        with pytest.raises(HttpResponseError, match="since it is associated with a certificate") as refused:
            act()
        assert refusal(refused) == (403, "Forbidden", "SecretManagedByKeyVault")


@pytest.mark.parametrize("policy", [None, CertificatePolicy(issuer_name="Self", content_type="application/x-pkcs12")])
def test_pem_without_a_policy_that_says_so_is_taken_for_something_else(certificates, made, policy):
    with pytest.raises(HttpResponseError, match="PKCS#12") as refused:
        certificates.import_certificate("payments", made.bundle, policy=policy)
    assert refusal(refused) == (400, "BadParameter", None)


def test_a_certificate_without_its_key_is_not_imported(certificates, made):
    for odd in (made.pem.encode(), (make().key_pem + made.pem).encode(), made.bundle.replace(b"\n", b"\r\n")):
        with pytest.raises(HttpResponseError, match="in an unexpected format") as refused:
            certificates.import_certificate("payments", odd, policy=PEM)
        assert refusal(refused) == (400, "BadParameter", None)


def test_who_may_write_secrets_may_not_import(vault, made):
    writer = vault.tenant.application("writer")
    vault.grant(writer, role="SecretsOfficer")
    with CertificateClient(vault.url, signed_in(writer)) as certificates:
        with pytest.raises(HttpResponseError, match="certificates/import/action") as refused:
            certificates.import_certificate("payments", made.bundle, policy=PEM)
        assert refusal(refused) == (403, "Forbidden", "ForbiddenByRbac")
    vault.edit(access="policies")
    with CertificateClient(vault.url, signed_in(writer)) as certificates:
        with pytest.raises(HttpResponseError, match="does not have certificates import permission") as refused:
            certificates.import_certificate("payments", made.bundle, policy=PEM)
        status, code, inner = refusal(refused)
        assert (status, code) == (403, "Forbidden") and inner in ("AccessDenied", "ForbiddenByPolicy")
