"""Every pod keeps to Pod Security "restricted", and to what a good neighbour asks for."""

from support.cluster.chart import Manifest, Rendered


def containers(spec: Manifest) -> list[Manifest]:
    return [*spec.get("initContainers", []), *spec["containers"]]


def test_pods_keep_to_pod_security_restricted(rendered: Rendered) -> None:
    for name, _, spec in rendered.pods():
        context = spec["securityContext"]
        assert context["runAsNonRoot"] is True, name
        assert context["runAsUser"] > 0, name
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys(), name
        for container in containers(spec):
            own = container["securityContext"]
            assert own["allowPrivilegeEscalation"] is False, name
            assert own["capabilities"] == {"drop": ["ALL"]}, name
            assert not {"privileged", "procMount", "runAsUser"} & own.keys(), name
            assert all("hostPort" not in port for port in container.get("ports", [])), name


def test_volumes_are_of_the_allowed_kinds(rendered: Rendered) -> None:
    allowed = {"configMap", "emptyDir", "projected", "secret"}
    for name, _, spec in rendered.pods():
        for volume in spec.get("volumes", []):
            assert volume.keys() - {"name"} <= allowed, name


def test_no_container_can_write_to_its_root(rendered: Rendered) -> None:
    for name, _, spec in rendered.pods():
        for container in containers(spec):
            assert container["securityContext"]["readOnlyRootFilesystem"] is True, name


def test_every_container_says_what_it_needs(rendered: Rendered) -> None:
    for name, _, spec in rendered.pods():
        for container in containers(spec):
            resources = container["resources"]
            assert resources["requests"].keys() == {"cpu", "memory"}, name
            assert "memory" in resources["limits"], name


def test_everything_that_stays_is_probed(rendered: Rendered) -> None:
    for kind in ("Deployment", "StatefulSet"):
        for workload in rendered.of_kind(kind):
            (container,) = workload["spec"]["template"]["spec"]["containers"]
            for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
                assert probe in container, workload["metadata"]["name"]


def test_a_part_is_ready_by_what_it_waits_for_and_lives_by_itself(rendered: Rendered) -> None:
    for workload in rendered.of_kind("Deployment"):
        (container,) = workload["spec"]["template"]["spec"]["containers"]
        paths = {
            probe: container[probe]["httpGet"]["path"]
            for probe in ("startupProbe", "readinessProbe", "livenessProbe")
        }
        assert paths == {
            "startupProbe": "/livez",
            "readinessProbe": "/readyz",
            "livenessProbe": "/livez",
        }, workload["metadata"]["name"]


def test_what_was_stored_outlives_the_release(rendered: Rendered) -> None:
    for workload in rendered.of_kind("StatefulSet"):
        kept = workload["spec"]["persistentVolumeClaimRetentionPolicy"]
        assert kept == {"whenDeleted": "Retain", "whenScaled": "Retain"}


def test_only_the_operator_may_talk_to_the_api_server(rendered: Rendered) -> None:
    accounts = {
        each["metadata"]["name"]: each.get("automountServiceAccountToken")
        for each in rendered.of_kind("ServiceAccount")
    }
    for name, labels, spec in rendered.pods():
        is_operator = labels["app.kubernetes.io/component"] in {"operator", "uninstall"}
        default = accounts.get(spec.get("serviceAccountName", ""), True)
        assert spec.get("automountServiceAccountToken", default) is is_operator, name


def test_the_operator_may_write_in_its_own_namespace_only(rendered: Rendered) -> None:
    for role in rendered.of_kind("ClusterRole"):
        for rule in role["rules"]:
            assert "*" not in [*rule["apiGroups"], *rule["resources"], *rule["verbs"]]
            writes = set(rule["verbs"]) - {"get", "list", "watch"}
            if writes:
                ours = {"webhookendpoints", "webhookendpoints/status", "events"}
                assert set(rule["resources"]) <= ours


def test_no_secret_stands_in_a_pod_or_a_config_map(rendered: Rendered) -> None:
    values = {
        value
        for secret in rendered.of_kind("Secret")
        for key, value in rendered.secret(secret["metadata"]["name"]).items()
        if key in {"password", "tls.key"}
    }
    for each in rendered.objects:
        if each["kind"] != "Secret":
            text = str(each)
            assert not any(value in text for value in values), each["metadata"]["name"]
