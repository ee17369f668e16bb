"""A real etcd and kube-apiserver for tests, and a small client to look at them with.

The programs come from `KUBEBUILDER_ASSETS`. There are no controllers and no kubelet: nothing runs,
nothing is collected, and a Deployment stays a wish. What a kubelet would do for our tests does
`support.operator.pods`.
"""

import asyncio
import http.client
import json
import os
import signal
import ssl
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from typing_extensions import override

from support.programs.ports import HOST, free_ports
from support.programs.program import Program
from support.timing.wait import eventually

__all__ = ["Answer", "Api", "ControlPlane", "KeptApi", "assets"]

Json = Any

_TOKEN = "forebay-test"
_DEFAULT_ASSETS = Path.home() / ".cache" / "cluster" / "bin"
_NOT_FOUND = 404
_IDLE_SECONDS = 30.0

_KUBECONFIG = """\
apiVersion: v1
kind: Config
clusters: [{{name: test, cluster: {{server: "{server}", insecure-skip-tls-verify: true}}}}]
users: [{{name: test, user: {{token: {token}}}}}]
contexts: [{{name: test, context: {{cluster: test, user: test, namespace: default}}}}]
current-context: test
"""


def assets() -> Path | None:
    """Return the folder with etcd and kube-apiserver; None where there is none."""
    folder = Path(os.environ.get("KUBEBUILDER_ASSETS") or _DEFAULT_ASSETS)
    there = all((folder / name).exists() for name in ("etcd", "kube-apiserver"))
    return folder if there else None


class Answer(NamedTuple):
    """What the API server said."""

    status: int
    body: Json

    @property
    def message(self) -> str:
        """Why it refused."""
        return str(self.body.get("message", ""))


class Api:
    """Plain requests to an API server; every one on its own connection."""

    def __init__(self, port: int) -> None:
        """Say where it is."""
        self._port = port
        self._context = ssl.create_default_context()
        self._context.check_hostname = False
        self._context.verify_mode = ssl.CERT_NONE

    def _connect(self) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection(HOST, self._port, timeout=30, context=self._context)

    def ask(
        self, method: str, path: str, body: Json = None, kind: str = "application/json"
    ) -> Answer:
        """Send one request."""
        connection = self._connect()
        try:
            return _ask(connection, method, path, body, kind)
        finally:
            connection.close()

    def get(self, path: str) -> Json | None:
        """Return an object; None where it is not there."""
        answer = self.ask("GET", path)
        if answer.status == _NOT_FOUND:
            return None
        assert answer.status == 200, answer
        return answer.body

    def items(self, path: str) -> list[Json]:
        """Return the items of a list."""
        answer = self.ask("GET", path)
        assert answer.status == 200, answer
        return list(answer.body["items"])

    def create(self, path: str, body: Json) -> Json:
        """Create an object that the server takes."""
        answer = self.ask("POST", path, body)
        assert answer.status in {200, 201}, answer
        return answer.body

    def merge(self, path: str, body: Json) -> Answer:
        """Send a merge patch."""
        return self.ask("PATCH", path, body, "application/merge-patch+json")

    def delete(self, path: str) -> Answer:
        """Delete an object."""
        return self.ask("DELETE", path, {"propagationPolicy": "Background"})


def _ask(
    connection: http.client.HTTPSConnection, method: str, path: str, body: Json, kind: str
) -> Answer:
    headers = {"Authorization": f"Bearer {_TOKEN}", "Content-Type": kind}
    text = None if body is None else json.dumps(body)
    connection.request(method, path, text, headers)
    answer = connection.getresponse()
    data = answer.read()
    try:
        return Answer(answer.status, json.loads(data))
    except ValueError:
        return Answer(answer.status, {"message": data.decode(errors="replace")})


class KeptApi(Api):
    """The same over one connection that is kept, for thousands of requests of one thread."""

    def __init__(self, port: int) -> None:
        """Say where it is; nothing is sent yet."""
        super().__init__(port)
        self._kept = self._connect()
        self._used_at = 0.0

    @override
    def ask(
        self, method: str, path: str, body: Json = None, kind: str = "application/json"
    ) -> Answer:
        now = time.monotonic()
        if now - self._used_at > _IDLE_SECONDS:
            # The server may have ended it. It connects anew at the next request.
            self._kept.close()
        self._used_at = now
        try:
            return _ask(self._kept, method, path, body, kind)
        except (http.client.HTTPException, OSError):
            self._kept.close()
            raise


class ControlPlane:
    """One etcd and one kube-apiserver on ports of their own."""

    def __init__(self, folder: Path, programs: Path) -> None:
        """Prepare; nothing runs before `start`."""
        self._folder = folder
        self._programs = programs
        self.port, self._etcd_port, self._peer_port = free_ports(3)
        self.api = Api(self.port)
        self.kubeconfig = folder / "kubeconfig"
        self._etcd = Program("etcd", folder / "etcd.log")
        self._server = Program("kube-apiserver", folder / "kube-apiserver.log")

    def start(self, crds: Mapping[str, Json]) -> None:
        """Start both, wait until they are ready, and add definitions, each by name."""
        key = self._folder / "accounts.key"
        subprocess.run(
            ["openssl", "genrsa", "-out", str(key), "2048"], check=True, capture_output=True
        )
        asyncio.run(self._start(crds))

    @property
    def pid(self) -> int:
        """The process id of the API server."""
        return self._server.pid

    def kept_api(self) -> KeptApi:
        """Return a connection of its own."""
        return KeptApi(self.port)

    def stop(self) -> None:
        """End both at once: their state is thrown away."""
        for program in (self._server, self._etcd):
            if program.running:
                asyncio.run(program.end(signal.SIGKILL, within=10))

    async def _start(self, crds: Mapping[str, Json]) -> None:
        folder = self._folder
        client = f"http://{HOST}:{self._etcd_port}"
        peer = f"http://{HOST}:{self._peer_port}"
        self._etcd.launch(
            [
                str(self._programs / "etcd"),
                f"--data-dir={folder / 'etcd'}",
                "--unsafe-no-fsync",
                f"--listen-client-urls={client}",
                f"--advertise-client-urls={client}",
                f"--listen-peer-urls={peer}",
                f"--initial-advertise-peer-urls={peer}",
                f"--initial-cluster=default={peer}",
            ],
            cwd=folder,
        )
        key = folder / "accounts.key"
        tokens = folder / "tokens.csv"
        tokens.write_text(f"{_TOKEN},admin,admin,system:masters\n")
        self._server.launch(
            [
                str(self._programs / "kube-apiserver"),
                f"--etcd-servers={client}",
                f"--bind-address={HOST}",
                f"--secure-port={self.port}",
                f"--cert-dir={folder / 'certificates'}",
                "--service-account-issuer=https://kubernetes.default.svc",
                f"--service-account-key-file={key}",
                f"--service-account-signing-key-file={key}",
                f"--token-auth-file={tokens}",
                "--authorization-mode=RBAC",
                "--service-cluster-ip-range=10.0.0.0/24",
                # It wants tokens that a controller makes.
                "--disable-admission-plugins=ServiceAccount",
            ],
            cwd=folder,
        )
        self.kubeconfig.write_text(
            _KUBECONFIG.format(server=f"https://{HOST}:{self.port}", token=_TOKEN)
        )
        await eventually(self._is_ready, within=40, saying="kube-apiserver to be ready")
        definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
        for name, crd in crds.items():
            self.api.create(definitions, crd)
            await self._wait_established(f"{definitions}/{name}")

    async def _wait_established(self, path: str) -> None:
        await eventually(lambda: self._is_established(path), saying=f"{path} to be established")

    def _is_ready(self) -> bool:
        self._etcd.check()
        self._server.check()
        try:
            return self.api.ask("GET", "/readyz").status == 200
        except OSError:
            return False

    def _is_established(self, path: str) -> bool:
        conditions = (self.api.get(path) or {}).get("status", {}).get("conditions") or ()
        return any(
            each["type"] == "Established" and each["status"] == "True" for each in conditions
        )
