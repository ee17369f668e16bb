"""What the chart sets for the operator is what the operator reads, and is there."""

from pathlib import Path

import yaml

from forebay.core.sizing import CPU_SHARE_PROCESSOR, CPU_SHARE_RECEIVER
from forebay_operator.builders.tables import Pool, table_file, table_name
from support.cluster.chart import NAMESPACE, RELEASE, Rendered, operator_config, render, render_set


def test_the_operator_reads_its_file(rendered: Rendered, tmp_path: Path) -> None:
    config = operator_config(rendered, tmp_path)
    assert config.namespace == NAMESPACE
    assert config.release == RELEASE
    assert config.host == "hooks.example.com"


def test_defaults_of_scaling_are_the_operator_s_and_those_that_sizes_reckon_with(
    tmp_path: Path,
) -> None:
    own = {"processors": {"autoscaling": {"enabled": True}}}
    # As values of a release are that had none of these.
    older = {
        "receivers": {"dedicated": None, "autoscaling": {"targetInFlight": None}},
        "processors": {
            "autoscaling": {"enabled": True, "targetItems": None, "targetOldestSeconds": None}
        },
    }
    for values in (own, older):
        config = operator_config(render({"host": "hooks.example.com"} | values), tmp_path)
        scaling = config.processors.scaling
        assert scaling is not None
        for group, names in (
            (
                config.receiver,
                ("webhook_microseconds", "target_cpu_percent", "target_in_flight"),
            ),
            (scaling, ("target_cpu_percent", "target_items", "target_oldest_seconds")),
        ):
            for name in names:
                assert getattr(group, name) == type(group).model_fields[name].default, name
        assert config.receiver.target_cpu_percent / 100 == CPU_SHARE_RECEIVER
        assert scaling.target_cpu_percent / 100 == CPU_SHARE_PROCESSOR


def test_the_pools_that_it_looks_for_are_the_charts(rendered: Rendered, tmp_path: Path) -> None:
    config = operator_config(rendered, tmp_path)
    pools = {"processors": config.processors.pods}
    if config.shared_receivers is not None:
        pools["receivers"] = config.shared_receivers.pods
        service = rendered.one("Service", config.shared_receivers.service_name)
        assert config.shared_receivers.service_port in [
            port["port"] for port in service["spec"]["ports"]
        ]
    for component, selector in pools.items():
        found = [
            name
            for name, labels, _ in rendered.pods()
            if selector.match_labels.items() <= labels.items()
        ]
        assert [name.rpartition("-")[2] for name in found] == [component]


def test_pods_mount_every_table_that_it_writes(rendered: Rendered, tmp_path: Path) -> None:
    config = operator_config(rendered, tmp_path)
    for name, _, spec in rendered.pods():
        for volume in spec.get("volumes", []):
            if volume["name"] != "tables":
                continue
            pool: Pool = "receivers" if name.endswith("receivers") else "processors"
            mounted = {
                (each["secret"]["name"], each["secret"]["items"][0]["path"])
                for each in volume["projected"]["sources"]
            }
            assert mounted == {
                (table_name(pool, number, config), table_file(pool, number))
                for number in range(config.tables.count)
            }
            # Pods may start before the operator.
            assert all(each["secret"]["optional"] for each in volume["projected"]["sources"])


def test_dedicated_receivers_get_the_users_secret_of_the_receivers(tmp_path: Path) -> None:
    rendered = render_set("local")
    nats = operator_config(rendered, tmp_path).receiver.nats
    assert nats.auth_secret_name is not None
    assert nats.tls_secret_name is not None
    assert rendered.secret(nats.auth_secret_name)[nats.user_key] == "receiver"
    authority = rendered.secret(nats.tls_secret_name)
    assert authority.keys() == {nats.ca_key}, "the servers' key is for the servers"


def test_all_receivers_believe_the_same_header_about_certificates(tmp_path: Path) -> None:
    for name, header in {"everything": "ssl-client-subject-dn", "local": None}.items():
        rendered = render_set(name)
        config = operator_config(rendered, tmp_path).receiver.client_certificates
        assert (config.header if config is not None else None) == header
        (spec,) = [spec for pod, _, spec in rendered.pods() if pod.endswith("-receivers")]
        env = {each["name"]: each.get("value") for each in spec["containers"][0]["env"]}
        prefix = "FOREBAY_RECEIVER_CLIENT_CERTIFICATE_"
        assert env.get(f"{prefix}HEADER") == header
        assert env.get(f"{prefix}FORM") == (config.form if config is not None else None)
        assert env.get(f"{prefix}VERIFIED") == (config.verified if config is not None else None)


def test_streams_have_as_many_replicas_as_nats_has_servers(tmp_path: Path) -> None:
    wanted = {"local": 1, "production": 3, "external-nats": 3}
    for name, replicas in wanted.items():
        (shard,) = operator_config(render_set(name), tmp_path).shards
        assert shard.replicas == replicas


def test_parts_work_on_the_shards_that_are_made(rendered: Rendered, tmp_path: Path) -> None:
    names = [shard.name for shard in operator_config(rendered, tmp_path).shards]
    for name, _, spec in rendered.pods():
        env = {each["name"]: each.get("value") for each in spec["containers"][0].get("env", [])}
        if "FOREBAY_SHARDS" in env:
            assert env["FOREBAY_SHARDS"] == ",".join(names), name


def test_a_changed_file_starts_a_new_operator() -> None:
    sums = {
        yaml.safe_dump(
            render_set(name).one("Deployment", f"{prefix}-operator")["spec"]["template"][
                "metadata"
            ]["annotations"]["checksum/config"]
        )
        for name, prefix in (("local", "acme-forebay"), ("minimal", "acme-forebay"))
    }
    assert len(sums) == 2


def test_limits_may_be_given_as_plain_numbers(tmp_path: Path) -> None:
    whole = {"cpu": 2, "memory": 2147483648}
    for limits, cpu in ((whole, "2"), (whole | {"cpu": 2.5}, "2.5")):
        rendered = render({"host": "hooks.example.com", "limits": limits})
        found = operator_config(rendered, tmp_path).tenant_limits
        assert (found.cpu, found.memory) == (cpu, "2147483648")
