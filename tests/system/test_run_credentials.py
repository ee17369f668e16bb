"""`forebay run` with Basic and a client certificate: manifest and settings as everywhere."""

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from support.programs.ports import free_ports
from support.programs.program import Program
from support.receiver.raw_http import exchange, request_bytes
from support.receiver.receiver_harness import (
    CERTIFICATE_HEADER,
    CERTIFICATE_NAME,
    PASSWORD,
    USER,
    basic,
)
from support.timing.wait import eventually

MANIFEST: dict[str, Any] = {
    "apiVersion": "forebay.dev/v1alpha1",
    "kind": "WebhookEndpoint",
    "metadata": {"namespace": "demo", "name": "meta"},
    "spec": {
        "provider": "meta",
        "authentication": {
            "basic": [
                {
                    "username": USER,
                    "password": {"secretKeyRef": {"name": "meta", "key": "password"}},
                }
            ],
            "clientCertificate": {"names": [CERTIFICATE_NAME]},
        },
        "destinations": [{"name": "log", "log": {}}],
    },
}


@pytest.mark.parametrize("is_believed", [True, False])
async def test_a_certificate_is_believed_where_a_setting_names_the_header(
    tmp_path: Path, *, is_believed: bool
) -> None:
    (tmp_path / "endpoint.yaml").write_text(json.dumps(MANIFEST))
    port, admin, processor_admin = free_ports(3)
    environment = {**os.environ, "FOREBAY_SECRET_DEMO_META_PASSWORD": PASSWORD}
    if is_believed:
        environment["FOREBAY_RECEIVER_CLIENT_CERTIFICATE_HEADER"] = CERTIFICATE_HEADER
    program = Program("forebay run", tmp_path / "run.log")
    program.launch(
        [
            *(sys.executable, "-m", "forebay", "run", "--json", "--file", "endpoint.yaml"),
            *("--data-dir", "data", "--port", str(port), "--admin-port", str(admin)),
            *("--processor-admin-port", str(processor_admin)),
        ],
        cwd=tmp_path,
        environment=environment,
    )

    async def status(headers: dict[str, str]) -> int:
        program.check()
        request = request_bytes("POST", "/v1/webhooks/demo/meta", headers=headers, body=b"{}")
        return (await exchange(port, request)).status

    certified = {CERTIFICATE_HEADER: f"CN={CERTIFICATE_NAME}"}
    try:
        await eventually(
            lambda: any(line[:1] == "{" for line in program.lines()),
            within=20,
            saying="the ready line",
        )
        assert await status({**basic(), **certified}) == (200 if is_believed else 401)
        for headers in ({}, basic(), certified, {**basic(USER, "wrong"), **certified}):
            assert await status(headers) == 401
    finally:
        assert await program.end(signal.SIGINT, within=40) == 0
    text = "\n".join(program.lines())
    assert PASSWORD not in text
    log = (tmp_path / "data" / "logs" / "receiver.log").read_text()
    assert ("client_certificates_off" in log) is not is_believed
