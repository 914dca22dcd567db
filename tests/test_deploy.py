"""The files that start a whole installation are valid, and name only what exists."""

from __future__ import annotations

from pathlib import Path

import kubernetes_validate
import pytest
import yaml
from compose_pydantic import ComposeSpecification
from sqlalchemy import text
from typer.testing import CliRunner

from feedapi.cli import build_app
from moderation.blobs import BLOBS_VARIABLE
from moderation.broker import BROKER_VARIABLE, broker_url
from moderation.jobs.worker import in_order
from moderation.store import DATABASE_VARIABLE, QUEUES, Store, open_store
from tests.servers import Server

ROOT = Path(__file__).parent.parent
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())
KUBERNETES = list(yaml.safe_load_all((ROOT / "deploy" / "kubernetes.yaml").read_text()))
SETTINGS = {DATABASE_VARIABLE, BROKER_VARIABLE, BLOBS_VARIABLE}


def of_kind(kind: str) -> dict[str, dict]:
    return {one["metadata"]["name"]: one for one in KUBERNETES if one["kind"] == kind}


def containers() -> dict[str, dict]:
    return {
        name: one["spec"]["template"]["spec"]["containers"][0] for name, one in of_kind("Deployment").items()
    }


def commands() -> list[list[str]]:
    composed = [one["command"] for one in COMPOSE["services"].values() if one.get("build")]
    return composed + [container["args"] for container in containers().values()]


def test_compose_follows_its_specification_and_refers_to_what_is_in_it() -> None:
    ComposeSpecification.model_validate({k: v for k, v in COMPOSE.items() if not k.startswith("x-")})

    services = COMPOSE["services"]
    for service in services.values():
        needed = service.get("depends_on", {})
        assert set(needed) <= set(services)
        assert all("healthcheck" in services[name] for name in needed)
        named = {volume.split(":")[0] for volume in service.get("volumes", [])}
        assert named <= set(COMPOSE["volumes"])
    assert (ROOT / services["api"]["build"] / "Dockerfile").is_file()
    assert set(services["api"]["environment"]) >= SETTINGS


OWN = [one for one in KUBERNETES if not one["apiVersion"].startswith("keda.sh")]
"""Without KEDA's, for which there is no schema: what they refer to and ask is checked below."""


@pytest.mark.parametrize("document", OWN, ids=lambda d: f"{d['kind']}-{d['metadata']['name']}")
def test_kubernetes_documents_follow_their_schemas(document: dict) -> None:
    kubernetes_validate.validate(document, "1.33", strict=True)


def test_every_queue_has_workers_that_grow_with_it(postgresql: Server, tmp_path: Path) -> None:
    """KEDA's queries are run on the real table; each Deployment of workers has one for its own queues."""
    with postgresql.database() as url:
        _grow(open_store(tmp_path, url))


def _grow(store: Store) -> None:
    with store.writing() as tx:
        for queue in QUEUES:
            tx.enqueue("k", "s", queue, queue=queue)
    counted = 0
    for scaled in of_kind("ScaledObject").values():
        target = scaled["spec"]["scaleTargetRef"]["name"]
        args = containers()[target]["args"]
        queues = args[args.index("--queues") + 1].split(",")
        (trigger,) = scaled["spec"]["triggers"]
        assert trigger["authenticationRef"]["name"] in of_kind("TriggerAuthentication")
        with store.database.reading() as connection:
            found = connection.execute(text(trigger["metadata"]["query"])).scalar_one()
        assert found == len(queues)
        counted += len(queues)
    store.close()
    assert counted == len(QUEUES)


def test_kubernetes_refers_to_what_is_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = of_kind("Secret")
    for name, deployment in of_kind("Deployment").items():
        template = deployment["spec"]["template"]
        assert deployment["spec"]["selector"]["matchLabels"] == template["metadata"]["labels"]
        assert containers()[name]["envFrom"][0]["secretRef"]["name"] in secrets
        mounted = {mount["name"] for mount in containers()[name]["volumeMounts"]}
        assert mounted == {volume["name"] for volume in template["spec"]["volumes"]}
    assert set(secrets["firstplay"]["stringData"]) == SETTINGS
    monkeypatch.setenv(BROKER_VARIABLE, secrets["firstplay"]["stringData"][BROKER_VARIABLE])
    assert broker_url() is not None
    (auth,) = of_kind("TriggerAuthentication").values()
    for reference in auth["spec"]["secretTargetRef"]:
        assert reference["key"] in secrets[reference["name"]]["stringData"]


@pytest.mark.parametrize("command", commands(), ids=" ".join)
def test_every_container_runs_a_command_that_exists(command: list[str]) -> None:
    known = CliRunner().invoke(build_app(), [command[0], "--help"], env={"COLUMNS": "200"})

    assert known.exit_code == 0
    for option in (part for part in command if part.startswith("--")):
        assert option in known.output
    if "--queues" in command:
        in_order(command[command.index("--queues") + 1].split(","))
