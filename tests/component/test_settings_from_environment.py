"""Settings come from the environment; one that cannot be used is named, its value never shown."""

from pathlib import Path

import pytest

from forebay.cli.settings_help import settings_text
from forebay.core.errors import ConfigurationError
from forebay.runtime.settings import LogSettings, NatsSettings, PartSettings, load_settings
from forebay_processor.settings import ProcessorSettings
from forebay_receiver.settings import ReceiverSettings


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("URL", "USER", "PASSWORD", "CREDENTIALS", "TLS_CA"):
        monkeypatch.delenv(f"FOREBAY_NATS_{name}", raising=False)


def test_a_receiver_s_defaults_are_those_of_the_contract() -> None:
    settings = load_settings(ReceiverSettings)
    assert (settings.port, settings.admin_port) == (8080, 9090)
    assert (settings.budget_seconds, settings.body_seconds) == (2.5, 2.0)
    assert settings.max_body_bytes == 4 * 1024 * 1024


def test_a_receiver_s_budget_is_within_the_providers_limit() -> None:
    settings = load_settings(ReceiverSettings)
    assert settings.body_seconds < settings.budget_seconds < 5.0


def test_several_servers_of_nats_are_distinguished(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOREBAY_NATS_URL", "nats://a:4222,nats://b:4222,")
    assert load_settings(NatsSettings).urls == ("nats://a:4222", "nats://b:4222")


def test_several_shards_are_distinguished(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FOREBAY_TABLE_DIR", str(tmp_path))
    monkeypatch.setenv("FOREBAY_SHARDS", "0, 1,eu")
    assert load_settings(PartSettings).shards == ("0", "1", "eu")


@pytest.mark.parametrize(
    ("kind", "variable", "value"),
    [
        (ReceiverSettings, "FOREBAY_RECEIVER_PORT", "65536"),
        (ReceiverSettings, "FOREBAY_RECEIVER_PORT", "http"),
        (ReceiverSettings, "FOREBAY_RECEIVER_ADMIN_PORT", "-1"),
        (ReceiverSettings, "FOREBAY_RECEIVER_BUDGET_SECONDS", "0"),
        (ReceiverSettings, "FOREBAY_RECEIVER_BODY_SECONDS", "soon"),
        (ReceiverSettings, "FOREBAY_RECEIVER_MAX_BODY_BYTES", "4MiB"),
        (ReceiverSettings, "FOREBAY_RECEIVER_MAX_IN_FLIGHT", "0"),
        (ReceiverSettings, "FOREBAY_RECEIVER_DRAIN_SECONDS", "-1"),
        (ReceiverSettings, "FOREBAY_RECEIVER_IDLE_SECONDS", "0"),
        (ReceiverSettings, "FOREBAY_RECEIVER_BUDGET_SECONDS", "inf"),
        (ReceiverSettings, "FOREBAY_RECEIVER_BODY_SECONDS", "nan"),
        (ReceiverSettings, "FOREBAY_RECEIVER_MAX_CONNECTIONS", "0"),
        (ReceiverSettings, "FOREBAY_RECEIVER_MAX_CONNECTION_SECONDS", "-5"),
        (ReceiverSettings, "FOREBAY_RECEIVER_MAX_IN_FLIGHT_BYTES", "1.5"),
        (ReceiverSettings, "FOREBAY_RECEIVER_HOST", ""),
        (ProcessorSettings, "FOREBAY_PROCESSOR_ADMIN_PORT", "admin"),
        (LogSettings, "FOREBAY_LOG_LEVEL", "loud"),
        (LogSettings, "FOREBAY_LOG_FORMAT", "xml"),
        (NatsSettings, "FOREBAY_NATS_URL", "http://nats:4222"),
        (NatsSettings, "FOREBAY_NATS_URL", ""),
        (NatsSettings, "FOREBAY_NATS_TLS_CA", "/nowhere/ca.pem"),
        (NatsSettings, "FOREBAY_NATS_CREDENTIALS", "/nowhere/user.creds"),
        (PartSettings, "FOREBAY_SHARDS", " , "),
    ],
)
def test_a_value_that_cannot_be_used_is_refused_by_the_name_of_its_variable(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    kind: type[ReceiverSettings | ProcessorSettings | LogSettings | NatsSettings | PartSettings],
    variable: str,
    value: str,
) -> None:
    monkeypatch.setenv("FOREBAY_TABLE_DIR", str(tmp_path))
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigurationError) as refused:
        load_settings(kind)
    sentence = str(refused.value)
    assert sentence.startswith(f"the setting {variable} cannot be used: ")
    assert "\n" not in sentence


def test_what_a_value_has_to_be_is_said_in_plain_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOREBAY_RECEIVER_PORT", "many")
    with pytest.raises(ConfigurationError, match=r"cannot be used: this has to be a whole number$"):
        load_settings(ReceiverSettings)


def test_a_header_beside_a_certificate_needs_the_certificate_s(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name = "FOREBAY_RECEIVER_CLIENT_CERTIFICATE_VERIFIED"
    monkeypatch.setenv(name, "ssl-client-verify=SUCCESS")
    with pytest.raises(ConfigurationError, match=f"{name} .*_CLIENT_CERTIFICATE_HEADER too"):
        load_settings(ReceiverSettings)


def test_a_part_without_a_table_folder_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FOREBAY_TABLE_DIR", raising=False)
    with pytest.raises(ConfigurationError, match="FOREBAY_TABLE_DIR is missing: give it as an env"):
        load_settings(PartSettings)


def test_a_secret_is_in_no_message_and_in_no_text_of_the_settings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FOREBAY_NATS_PASSWORD", "example-password")
    assert "example-password" not in repr(load_settings(NatsSettings))
    monkeypatch.setenv("FOREBAY_NATS_URL", "http://user:example-password@nats")
    with pytest.raises(ConfigurationError) as refused:
        load_settings(NatsSettings)
    assert "example-password" not in str(refused.value)


def test_settings_do_not_change_after_the_start() -> None:
    settings = load_settings(ReceiverSettings)
    with pytest.raises(ValueError, match="frozen"):
        settings.port = 1


def test_settings_that_do_not_fit_together_are_refused_in_one_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FOREBAY_RECEIVER_MAX_IN_FLIGHT_BYTES", "5000000")
    with pytest.raises(ConfigurationError) as refused:
        load_settings(ReceiverSettings)
    assert str(refused.value) == (
        "the settings cannot be used: FOREBAY_RECEIVER_MAX_IN_FLIGHT_BYTES has to be at least "
        "twice FOREBAY_RECEIVER_MAX_BODY_BYTES"
    )


def test_where_a_body_may_take_longer_than_the_budget_the_budget_counts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FOREBAY_RECEIVER_BUDGET_SECONDS", "0.5")
    assert load_settings(ReceiverSettings).reading_seconds == 0.5


COUNTS = {"port", "admin_port", "max_connections", "max_in_flight"}


def test_every_setting_of_a_receiver_says_its_unit_its_default_and_why() -> None:
    text = settings_text((ReceiverSettings, PartSettings, NatsSettings, LogSettings))
    entries = dict(entry.split("  ", 1) for entry in text.split("\n\n"))
    for kind in (ReceiverSettings, PartSettings, NatsSettings, LogSettings):
        for name in kind.model_fields:
            head, _, why = entries[f"{kind.model_config['env_prefix']}{name.upper()}"].partition(
                "\n"
            )
            assert head[0] in "[(", name
            assert len(why) > 30, name
    numbers = {
        name
        for name, field in ReceiverSettings.model_fields.items()
        if isinstance(field.default, int | float) and name not in COUNTS
    }
    assert {name for name in numbers if not name.endswith(("_seconds", "_bytes"))} == set()


def test_a_default_stands_beside_its_setting() -> None:
    text = settings_text((ReceiverSettings, PartSettings))
    assert "FOREBAY_RECEIVER_BUDGET_SECONDS  [2.5]\n    From a request's first byte" in text
    assert "FOREBAY_TABLE_DIR  (has to be set)\n" in text
    assert "FOREBAY_SHARDS  [0]\n" in text


def test_every_setting_is_frozen() -> None:
    for kind in (ReceiverSettings, PartSettings, NatsSettings, LogSettings):
        assert kind.model_config["frozen"]


def test_a_file_without_credentials_is_reported(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "user.creds"
    file.write_text("-----BEGIN NATS USER JWT-----\n")
    monkeypatch.setenv("FOREBAY_NATS_CREDENTIALS", str(file))
    with pytest.raises(ConfigurationError, match=r"FOREBAY_NATS_CREDENTIALS cannot be used.*nsc"):
        load_settings(NatsSettings)
