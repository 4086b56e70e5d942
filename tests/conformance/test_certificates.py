"""Signing in with a certificate, as azure-identity and msal do it: every form in which they sign, and what they say when
they are refused."""

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

import jwt
import msal
import pytest
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import AzureAuthorityHosts, CertificateCredential, EnvironmentCredential
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import NameOID

GRAPH = "https://graph.microsoft.com/.default"
LOGIN = "https://login.microsoftonline.com"


@dataclass(frozen=True)
class Made:
    """A certificate and its key."""

    key: rsa.RSAPrivateKey
    certificate: x509.Certificate

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    @property
    def key_pem(self) -> str:
        plain = serialization.NoEncryption()
        return self.key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain).decode()

    @property
    def bundle(self) -> bytes:
        return (self.key_pem + self.pem).encode()

    @property
    def pfx(self) -> bytes:
        plain = serialization.NoEncryption()
        return pkcs12.serialize_key_and_certificates(b"payments", self.key, self.certificate, None, plain)

    @property
    def thumbprint(self) -> str:
        return self.certificate.fingerprint(hashes.SHA1()).hex()


def make() -> Made:
    key, now = rsa.generate_private_key(65537, 2048), datetime.now(timezone.utc)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "payments")])
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    made = made.not_valid_before(now - timedelta(days=2)).not_valid_after(now + timedelta(days=90))
    return Made(key, made.sign(key, hashes.SHA256()))


@pytest.fixture(scope="module")
def made() -> Made:
    return make()


@pytest.fixture(scope="module")
def other() -> Made:
    return make()


@pytest.fixture
def payments(calm, made):
    """An application that has the certificate."""
    payments = calm.application()
    payments.certificate(made.pem)
    return payments


def identity(application, made, tenant=None, **options):
    """By azure-identity."""
    tenant = tenant or application.tenant.id
    return CertificateCredential(tenant, application.client_id, certificate_data=made.bundle, **options)


def by_msal(application, credential, host=LOGIN, **options) -> dict:
    authority = f"{host}/{application.tenant.id}"
    client = msal.ConfidentialClientApplication(application.client_id, credential, authority=authority, **options)
    return client.acquire_token_for_client([GRAPH])


def with_certificate(made, _folder):
    return {"private_key": made.key_pem, "public_certificate": made.pem}


def with_thumbprint(made, _folder):
    return {"private_key": made.key_pem, "thumbprint": made.thumbprint}


def with_both(made, _folder):
    return {"private_key": made.key_pem, "thumbprint": made.thumbprint, "public_certificate": made.pem}


def with_pfx(made, folder):
    (folder / "payments.pfx").write_bytes(made.pfx)
    return {"private_key_pfx_path": str(folder / "payments.pfx")}


def client_of(token: str) -> str:
    return jwt.decode(token, options={"verify_signature": False})["appid"]


# What they get


@pytest.mark.parametrize("chain", [False, True])
def test_azure_identity_signs_in(payments, made, chain):
    token = identity(payments, made, send_certificate_chain=chain).get_token(GRAPH).token
    assert client_of(token) == payments.client_id
    assert payments.sign_ins() == [200]


@pytest.mark.parametrize("credential", [with_certificate, with_thumbprint, with_both, with_pfx])
def test_msal_signs_in(payments, made, tmp_path, credential):
    """AZURE 5: PS256 with `x5t#S256`, and RS256 with `x5t`."""
    result = by_msal(payments, credential(made, tmp_path))
    assert client_of(result["access_token"]) == payments.client_id
    assert payments.sign_ins() == [200]


def test_what_is_accepted_is_counted_by_its_entry(payments, made):
    (entry,) = payments.administer("GET", "/certificates")
    for _ in range(2):
        assert identity(payments, made).get_token(GRAPH).token
    accepted = payments.tenant.azure.administer("GET", "/inspect")["accepted"]
    assert [one["count"] for one in accepted if one["keyId"] == entry["keyId"]] == [2]


def test_a_pod_signs_in_with_what_is_in_its_environment(payments, made, tmp_path, monkeypatch):
    (tmp_path / "bundle.pem").write_bytes(made.bundle)
    monkeypatch.setenv("AZURE_TENANT_ID", payments.tenant.id)
    monkeypatch.setenv("AZURE_CLIENT_ID", payments.client_id)
    monkeypatch.setenv("AZURE_CLIENT_CERTIFICATE_PATH", str(tmp_path / "bundle.pem"))
    assert client_of(EnvironmentCredential().get_token(GRAPH).token) == payments.client_id


def test_a_tenant_may_be_called_by_its_domain(payments, made):
    domain = f"contoso-{payments.tenant.id[:8]}.onmicrosoft.com"
    payments.tenant.edit(domain=domain)
    assert identity(payments, made, domain).get_token(GRAPH).token


def test_a_national_cloud_is_its_own_audience(payments, made):
    """AZURE 6, national clouds."""
    credential = identity(payments, made, authority=AzureAuthorityHosts.AZURE_GOVERNMENT)
    assert credential.get_token("https://graph.microsoft.us/.default").token


def test_a_custom_cloud_is_wherever_it_is(azure, payments, made, tmp_path):
    """Through the free endpoints, past the proxy."""
    credential = identity(payments, made, authority=azure.authority, disable_instance_discovery=True)
    assert credential.get_token(f"{azure.graph}/.default").token
    result = by_msal(payments, with_certificate(made, tmp_path), azure.authority, instance_discovery=False)
    assert "access_token" in result


# What they say when they are refused


def test_a_certificate_that_is_not_registered(payments, made, other, tmp_path):
    """AZURE 4.3: 700027, which names it."""
    named = f"Thumbprint of key used by client: '{other.thumbprint.upper()}'"
    text = by_msal(payments, with_thumbprint(other, tmp_path))["error_description"]
    assert text.startswith("AADSTS700027: The certificate with identifier used to sign the client assertion is not")
    assert f"[Reason - The key was not found., {named}" in text
    with pytest.raises(ClientAuthenticationError, match="AADSTS700027") as refused:
        identity(payments, other).get_token(GRAPH)
    assert "[Reason - The key was not found., Thumbprint of key used by client: '" in refused.value.message
    assert [one["cause"] for one in payments.tenant.refused()] == ["wrongValue"] * 2


def test_a_key_that_does_not_belong_to_the_certificate(payments, made, other):
    """AZURE 4.3: 50012."""
    result = by_msal(payments, {"private_key": other.key_pem, "thumbprint": made.thumbprint})
    assert (result["error"], result["error_codes"]) == ("invalid_client", [50012])


def test_a_certificate_that_has_expired(calm, made):
    """AZURE 4.3: 700027 as well, with the times of what was found."""
    payments = calm.application()
    end = (datetime.now(timezone.utc) - timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    payments.certificate(made.pem, endDateTime=end)
    with pytest.raises(ClientAuthenticationError, match="AADSTS700027.+The key used is expired.+Found key 'Start="):
        identity(payments, made).get_token(GRAPH)
    assert [one["cause"] for one in calm.refused()] == ["expired"]


def test_a_clock_that_is_wrong(payments, made):
    """AZURE 4.3: 700024. The times may be text (AZURE 5)."""
    now = int(datetime.now(timezone.utc).timestamp())
    audience = f"{LOGIN}/{payments.tenant.id}/oauth2/v2.0/token"

    def comes_of(begin, end):
        claims = {"iss": payments.client_id, "sub": payments.client_id, "aud": audience, "jti": "1"}
        head = {"x5t": jwt.utils.base64url_encode(made.certificate.fingerprint(hashes.SHA1())).decode()}
        # PyJWT looks at times that are numbers only when it verifies.
        signed = jwt.encode({**claims, "nbf": begin, "exp": end}, made.key, "RS256", headers=head)
        return by_msal(payments, {"client_assertion": lambda: signed})

    assert "access_token" in comes_of(now, now + 600)
    assert "access_token" in comes_of(now + 240, now + 600)
    assert comes_of(now + 360, now + 600)["error_codes"] == [700024]
    assert comes_of(now - 900, now - 360)["error_codes"] == [700024]


def test_a_removed_certificate(payments, made):
    (entry,) = payments.administer("GET", "/certificates")
    payments.administer("DELETE", f"/certificates/{entry['keyId']}")
    with pytest.raises(ClientAuthenticationError, match="AADSTS700027"):
        identity(payments, made).get_token(GRAPH)
    assert [one["cause"] for one in payments.tenant.refused()] == ["removed"]


def test_a_new_one_is_refused_until_replicas_know_it(tenant, made, until):
    """AZURE 3."""
    payments = tenant.application()
    tenant.edit(lag=[60_000, 60_000])
    payments.certificate(made.pem, lagging=True)
    with pytest.raises(ClientAuthenticationError, match="AADSTS700027"):
        identity(payments, made).get_token(GRAPH)
    assert [one["cause"] for one in tenant.refused()] == ["notYetKnown"]
    # Whoever hears of a later change has heard of this one.
    tenant.edit(lag=[80, 360])
    payments.administer("PATCH", body={"disabled": False})

    def signs_in():
        try:
            return identity(payments, made).get_token(GRAPH).token
        except ClientAuthenticationError:
            return None

    until(signs_in)
