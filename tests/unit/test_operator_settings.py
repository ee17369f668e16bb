"""The operator's file: a misspelt key stops the start with words."""

from datetime import timedelta
from pathlib import Path

import pytest

from forebay.core.errors import ConfigurationError
from forebay_operator.services.stream_provisioner import shard_config
from forebay_operator.settings.config import read_config
from support.operator.operator_inputs import INPUT


def test_file_of_the_chart_is_read() -> None:
    config = read_config(INPUT / "config.yaml")
    assert config.receiver.nats.auth_secret_name == "forebay-nats-receiver"
    assert config.tables.count == 16
    assert config.isolation == "Dedicated"


def test_ages_are_durations(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(
        (INPUT / "config.yaml").read_text() + "shards: [{name: east, rawMaxAge: 24h, replicas: 3}]"
    )
    (shard,) = read_config(file).shards
    made = shard_config(shard.name, shard)
    assert (made.shard, made.raw_max_age, made.replicas) == ("east", timedelta(hours=24), 3)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("isolatoin: Shared", "isolatoin"),
        ("isolation: Sometimes", "isolation"),
        ("limits: {workers: 0}", "limits.workers"),
        ("receiver: {}", "receiver.image"),
        ("a: [", "no YAML"),
    ],
)
def test_refusal_names_the_key(tmp_path: Path, line: str, expected: str) -> None:
    file = tmp_path / "config.yaml"
    file.write_text((INPUT / "config.yaml").read_text() + line)
    with pytest.raises(ConfigurationError, match=expected.replace(".", r"\.")):
        read_config(file)


def test_missing_file_is_reported_with_its_variable(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="FOREBAY_OPERATOR_CONFIG"):
        read_config(tmp_path / "none.yaml")
