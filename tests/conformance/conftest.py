"""The simulator of Azure, for one run of the tests: started, found by official clients through nothing but their
environment, tampered with by its administrator, ended. Each test has a tenant of its own."""

import json
import os
import select
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
import requests

# Replicas know of a change after 80 to 360 ms instead of 4 to 18 s.
SCALE = "0.02"
# Longer than anything takes here, on a machine that has other things to do.
PATIENCE = 30.0
# What would lead a client elsewhere.
ELSEWHERE = ("ALL_PROXY", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "CURL_CA_BUNDLE", "AZURE_AUTHORITY_HOST")


@dataclass(frozen=True)
class Password:
    key_id: str
    value: str


class Azure:
    """A running simulator, as its administrator sees it."""

    def __init__(self, told: dict[str, Any]) -> None:
        self.proxy, self.ca_file = told["proxy"], told["caFile"]
        self.authority, self.graph, self.vault = told["authority"], told["graph"], told["vault"]
        self.vault_suffix = told["vaultSuffix"]
        self._admin = told["admin"]
        self._session = requests.Session()
        self._session.trust_env = False  # the administrator is not behind the proxy

    def administer(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        answer = self._session.request(method, self._admin + path, json=body or {}, timeout=PATIENCE)
        assert answer.ok, f"the administrator refused {method} {path}: {answer.text}"
        return answer.json()

    def new_tenant(self) -> "Tenant":
        return Tenant(self, self.administer("POST", "/tenants")["id"])

    def journal(self, service: str, verb: str, about: str) -> list[dict[str, Any]]:
        """The requests of a kind that have a word in their path."""
        entries = self.administer("GET", "/journal")
        return [one for one in entries if (one["service"], one["verb"]) == (service, verb) and about in one["path"]]

    @contextmanager
    def fault(self, service: str, verb: str, path: str, action: Any, **when: int) -> Iterator[None]:
        """Something happens to requests, for a while."""
        rule = {"service": service, "verb": verb, "path": path, "action": action, **when}
        number = self.administer("POST", "/faults", rule)["id"]
        try:
            yield
        finally:
            self.administer("DELETE", f"/faults/{number}")


class Tenant:
    """A tenant, as its administrator sees it."""

    def __init__(self, azure: Azure, tenant_id: str) -> None:
        self.azure, self.id = azure, tenant_id

    def edit(self, **change: Any) -> None:
        self.azure.administer("PATCH", f"/tenants/{self.id}", change)

    def application(self, name: str = "payments", **wanted: Any) -> "Application":
        told = self.azure.administer("POST", f"/tenants/{self.id}/applications", {"displayName": name, **wanted})
        return Application(self, told["clientId"], told["objectId"], told["principal"])

    def operator(self, *roles: str) -> "Application":
        """An application that may do something in Graph."""
        return self.application("keywright", roles=roles)

    def refused(self) -> list[dict[str, Any]]:
        """The sign-ins that were refused, each with its true cause."""
        return [one for one in self.azure.administer("GET", "/inspect")["refused"] if one["tenant"] == self.id]


@dataclass(frozen=True)
class Application:
    """An application, as its administrator sees it."""

    tenant: Tenant
    client_id: str
    object_id: str
    principal: str

    def administer(self, method: str, path: str = "", body: dict[str, Any] | None = None) -> Any:
        return self.tenant.azure.administer(
            method, f"/tenants/{self.tenant.id}/applications/{self.client_id}{path}", body
        )

    def password(self, **wanted: Any) -> Password:
        """A secret that is there of old, unless it is to be lagging."""
        told = self.administer("POST", "/passwords", wanted)
        return Password(told["keyId"], told["secretText"])

    def certificate(self, pem: str, **wanted: Any) -> str:
        """A certificate that is there of old, unless it is to be lagging; the answer is its ID."""
        return self.administer("POST", "/certificates", {"pem": pem, **wanted})["keyId"]

    def sign_ins(self) -> list[int]:
        """How the sign-ins of the tenant were answered, one after the other."""
        return [one["status"] for one in self.tenant.azure.journal("token", "signIn", self.tenant.id)]


@dataclass(frozen=True)
class Vault:
    """A vault, as its administrator sees it."""

    tenant: Tenant
    name: str

    @property
    def url(self) -> str:
        return f"https://{self.name}.vault.azure.net"

    def edit(self, **change: Any) -> None:
        self.tenant.azure.administer("PATCH", f"/vaults/{self.name}", change)

    def grant(self, application: Application, **grant: Any) -> None:
        wanted = {"principal": application.principal, **grant}
        self.tenant.azure.administer("POST", f"/vaults/{self.name}/grants", wanted)

    def asked(self, verb: str) -> list[int]:
        """How the requests of a kind were answered, one after the other."""
        return [one["status"] for one in self.tenant.azure.journal("vault", verb, f"/{self.name}/")]


@pytest.fixture(scope="session")
def azure() -> Iterator[Azure]:
    """The simulator, which the environment leads every client to."""
    signal.signal(signal.SIGTERM, lambda *_: pytest.exit("told to end"))  # else the simulator would outlive us
    program = os.environ.get("KEYWRIGHT_SANDBOX", "target/debug/keywright-sandbox")
    with tempfile.TemporaryDirectory(prefix="keywright-conformance-") as folder, pytest.MonkeyPatch.context() as patch:
        command = [program, "azure", "--scale", SCALE, "--dir", folder]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as simulator:
            try:
                azure = Azure(first_line(simulator))
                for name in ELSEWHERE:
                    patch.delenv(name, raising=False)
                    patch.delenv(name.lower(), raising=False)
                patch.setenv("HTTPS_PROXY", azure.proxy)
                patch.setenv("NO_PROXY", "127.0.0.1")
                patch.setenv("SSL_CERT_FILE", azure.ca_file)
                patch.setenv("REQUESTS_CA_BUNDLE", azure.ca_file)
                yield azure
            finally:
                simulator.terminate()
                simulator.wait(PATIENCE)


def first_line(simulator: subprocess.Popen[str]) -> dict[str, Any]:
    assert simulator.stdout is not None
    ready, _, _ = select.select([simulator.stdout], [], [], PATIENCE)
    line = simulator.stdout.readline() if ready else ""
    assert line, f"{simulator.args} did not say where it is, within {PATIENCE} s: try it by hand"
    return json.loads(line)


@pytest.fixture
def tenant(azure: Azure) -> Tenant:
    """A tenant whose replicas lag."""
    return azure.new_tenant()


@pytest.fixture
def calm(tenant: Tenant) -> Tenant:
    """A tenant where every change is known at once, and writes never meet."""
    tenant.edit(lag=[0, 0], principalLag=[0, 0], writeWindow=0)
    return tenant


@pytest.fixture
def vault(calm: Tenant) -> Vault:
    """A vault where deletions and recoveries are done at once."""
    vault = Vault(calm, f"kv-{calm.id[:8]}")
    calm.azure.administer("POST", "/vaults", {"tenant": calm.id, "name": vault.name})
    vault.edit(deletionLag=[0, 0], recoveryLag=[0, 0], roleLag=[0, 0])
    return vault


@pytest.fixture(scope="session")
def until() -> Callable[[Callable[[], Any]], Any]:
    """Asks until the answer is yes, and tells it: what replicas have yet to learn announces itself by nothing else."""

    def ask(question: Callable[[], Any]) -> Any:
        end = time.monotonic() + PATIENCE
        while not (answer := question()):
            assert time.monotonic() < end, f"still not so after {PATIENCE} s"
            time.sleep(0.02)
        return answer

    return ask


def refusal(refused: pytest.ExceptionInfo[Any]) -> tuple[int, str, str | None]:
    """Status, code and inner code, as clients see them."""
    error = refused.value.error
    return refused.value.status_code, error.code, (error.innererror or {}).get("code")
