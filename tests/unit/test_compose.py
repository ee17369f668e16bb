"""compose.yaml fits the parts that it starts: their settings, their ports, their images."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from pydantic_settings import BaseSettings

from forebay.runtime.settings import LogSettings, NatsSettings, PartSettings, load_settings
from forebay_processor.settings import ProcessorSettings
from forebay_receiver.settings import ReceiverSettings

ROOT: Final = Path(__file__).parents[2]
COMPOSE: Final[dict[str, Any]] = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES: Final[dict[str, Any]] = COMPOSE["services"]
KINDS: Final[Mapping[str, tuple[type[BaseSettings], ...]]] = {
    "receiver": (ReceiverSettings, PartSettings, NatsSettings, LogSettings),
    "processor": (ProcessorSettings, PartSettings, NatsSettings, LogSettings),
    "tables": (NatsSettings,),
}
"""What each part reads from its environment."""


def environment(service: str) -> dict[str, str]:
    return {name: str(value) for name, value in SERVICES[service]["environment"].items()}


@pytest.fixture(params=KINDS)
def part(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Give each part in turn, with its environment set as compose.yaml does."""
    name: str = request.param
    for variable, value in environment(name).items():
        monkeypatch.setenv(variable, value)
    return name


def test_every_variable_is_a_setting_of_its_part_and_has_a_value_that_it_takes(part: str) -> None:
    known = {
        f"{kind.model_config['env_prefix']}{name}".upper()
        for kind in KINDS[part]
        for name in kind.model_fields
    }
    assert environment(part).keys() <= known
    for kind in KINDS[part]:
        load_settings(kind)


def test_the_published_ports_are_those_of_the_parts_on_this_machine_alone(
    part: str,
) -> None:
    own: set[int] = set()
    if part == "receiver":
        receiver = load_settings(ReceiverSettings)
        own = {receiver.port, receiver.admin_port}
    elif part == "processor":
        own = {load_settings(ProcessorSettings).admin_port}
    published = [each.split(":") for each in SERVICES[part].get("ports", ())]
    assert {int(inside) for _, _, inside in published} == own
    assert {host for host, _, _ in published} <= {"127.0.0.1"}


def test_no_port_of_this_machine_is_taken_twice() -> None:
    taken = [
        each.split(":")[1] for service in SERVICES.values() for each in service.get("ports", ())
    ]
    assert len(taken) == len(set(taken)) == 3


def test_parts_are_built_from_targets_of_the_dockerfile() -> None:
    targets = re.findall(r"^FROM \S+ AS (\S+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    built = {name: each["build"]["target"] for name, each in SERVICES.items() if "build" in each}
    assert built == {"tables": "operator", "receiver": "receiver", "processor": "processor"}
    assert set(built.values()) <= set(targets)


def test_nats_is_the_image_of_the_chart_and_no_registry_is_named() -> None:
    chart = yaml.safe_load((ROOT / "charts/forebay/values.yaml").read_text())["nats"]["image"]
    image = SERVICES["nats"]["image"]
    assert image == f"{chart['repository']}:{chart['tag']}"
    assert "/" not in image


def test_parts_read_the_tables_where_they_are_written() -> None:
    entry = SERVICES["tables"]["entrypoint"]
    out = entry[entry.index("--out") + 1]
    for name in ("receiver", "processor"):
        assert environment(name)["FOREBAY_TABLE_DIR"] == f"{out}/{name}"
        assert SERVICES[name]["volumes"] == ["tables:/tmp"]
    assert "tables:/tmp" in SERVICES["tables"]["volumes"]
    manifests, inside, _ = SERVICES["tables"]["volumes"][0].rsplit(":", 2)
    assert inside == entry[entry.index("--file") + 1]
    assert manifests == "${FOREBAY_MANIFESTS:-./examples}"


def test_the_parts_have_the_time_that_they_take_to_end() -> None:
    for name, kind in (("receiver", ReceiverSettings), ("processor", ProcessorSettings)):
        grace = int(SERVICES[name]["stop_grace_period"].removesuffix("s"))
        stop = "drain_seconds" if name == "receiver" else "stop_seconds"
        assert grace >= kind.model_fields[stop].default + 10


def test_nats_has_room_for_the_largest_webhook_and_all_streams() -> None:
    text = COMPOSE["configs"]["nats"]["content"]
    mebibytes = {"MB": 1, "GB": 1024}
    found = {
        name: int(number) * mebibytes[unit]
        for name, number, unit in re.findall(r"(max_\w+): (\d+)(MB|GB)", text)
    }
    largest = ReceiverSettings.model_fields["max_body_bytes"].default
    assert found["max_payload"] * 1024**2 >= largest + 32 * 1024
    assert found["max_file_store"] >= 1024 + 1024 + 512 + 512 + 256 + 1
    assert "sync_interval: always" in text
