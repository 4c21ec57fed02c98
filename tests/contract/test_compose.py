"""The compose file and the Dockerfile, as far as they can be checked where no Docker engine is."""

import itertools
import json
import re
import shlex
import socket
import subprocess
import sys
from pathlib import Path

import click
import pytest
import redis
import yaml

from producer.broker import connect
from producer.embedded.redis_server import find_server
from tests.contract.commandline import understood

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "docker-compose.yml"
SERVICES = yaml.safe_load(COMPOSE.read_text())["services"]
OURS = sorted(name for name, service in SERVICES.items() if service["image"].startswith("vecmill"))
DOCKERFILE = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")


def stages():
    """The Dockerfile's instructions by stage name; a stage holds those of the stage it is built on, too."""
    found = {}
    for instruction in (text for text in DOCKERFILE.splitlines() if text and not text.startswith("#")):
        start = re.fullmatch(r"FROM (\S+) AS (\S+)", instruction)
        if start:
            name = start.group(2)
            found[name] = list(found.get(start.group(1), []))
        else:
            found[name].append(instruction)
    return found


STAGES = stages()


def test_compose_validates_against_the_compose_specification():
    done = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(COMPOSE)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_nothing_is_published_to_the_world():
    assert len(SERVICES) >= 4
    assert [name for name, service in SERVICES.items() if "ports" in service or "network_mode" in service] == []


def test_the_password_has_no_default_and_is_required_wherever_it_is_used():
    uses = re.findall(r"\$\{?VECMILL_REDIS_PASSWORD[^}]*\}?", COMPOSE.read_text())
    assert len(uses) >= 3
    assert all(use.startswith("${VECMILL_REDIS_PASSWORD:?") for use in uses)
    example = (ROOT / ".env.example").read_text()
    assert re.search(r"^VECMILL_REDIS_PASSWORD=$", example, re.MULTILINE)


def test_every_variable_of_the_compose_file_is_in_the_example():
    used = set(re.findall(r"\$\{([A-Z_]+)", COMPOSE.read_text())) | {"HF_TOKEN"}
    assert {"VECMILL_REDIS_MAXMEMORY", "VECMILL_CORPUS"} <= used
    offered = set(re.findall(r"^#?([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
    assert used == offered


def interpolated(text, **variables):
    """What docker compose makes of `${NAME:-default}` and `${NAME:?message}`."""
    return re.sub(r"\$\{(\w+)(?::-([^}]*)|:\?[^}]*)?\}", lambda m: variables.get(m[1], m[2] or ""), text)


def test_the_queue_keeps_what_it_is_given_and_wants_the_password(tmp_path):
    """The compose file's own server command, run with the server that is at hand."""
    command = [interpolated(item, VECMILL_REDIS_PASSWORD="letters0digits") for item in SERVICES["redis"]["command"]]
    assert command[0] == "valkey-server"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [find_server(), *command[1:], "--bind", "127.0.0.1", "--port", str(port), "--dir", str(tmp_path)],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        for line in server.stdout:
            if "Ready to accept connections" in line:
                break
        with pytest.raises(redis.AuthenticationError):
            redis.Redis(port=port).ping()
        client = connect(f"redis://:letters0digits@127.0.0.1:{port}/0")
        settings = client.config_get("*")
        assert settings["appendonly"] == "yes"
        assert settings["maxmemory-policy"] == "noeviction"
        assert int(settings["maxmemory"]) == 2 * 2**30
        client.close()
    finally:
        server.terminate()
        server.communicate()
    assert list(tmp_path.rglob("*.aof"))


def test_the_queue_has_a_health_check_that_reads_the_answer_and_a_volume():
    queue = SERVICES["redis"]
    assert "ping | grep -q PONG" in queue["healthcheck"]["test"][1]
    assert "queue:/data" in queue["volumes"]


@pytest.mark.parametrize("name", OURS)
def test_our_services_wait_for_a_healthy_queue_and_share_the_tables(name):
    service = SERVICES[name]
    assert service["depends_on"]["redis"]["condition"] == "service_healthy"
    assert {"tables:/data", "models:/models"} <= set(service["volumes"])
    assert service["environment"]["VECMILL_BROKER_URL"].endswith("@redis:6379/0")


@pytest.mark.parametrize("name", OURS)
def test_every_command_of_the_compose_file_is_understood(name):
    understood(SERVICES[name]["command"])


def test_the_commands_in_the_comments_of_the_compose_file_are_understood():
    lines = re.findall(r"docker compose run --rm (?:serve|worker-cpu) (.+)", COMPOSE.read_text())
    assert len(lines) >= 2
    for line in lines:
        understood(shlex.split(line))


@pytest.mark.parametrize(
    "wrong", [["worker", "--no-such-option"], ["no-such-command"], ["embed", "/corpus"], ["worker", "--threads", "0"]]
)
def test_a_wrong_command_is_noticed(wrong):
    with pytest.raises(click.UsageError):
        understood(wrong)


@pytest.mark.parametrize("name", OURS)
def test_our_services_have_metrics_for_their_network_and_logs_for_machines(name):
    command = SERVICES[name]["command"]
    said = dict(itertools.pairwise(command))
    assert (said["--metrics-host"], said["--log-format"]) == ("0.0.0.0", "json")
    assert SERVICES[name]["expose"] == [said["--metrics-port"]]
    page = (ROOT / "docs" / "operations.md").read_text()
    (scrape,) = yaml.safe_load(re.search(r"```yaml\n(scrape_configs:.*?)```", page, re.DOTALL)[1])["scrape_configs"]
    (found,) = scrape["dns_sd_configs"]
    assert name in found["names"]
    assert str(found["port"]) == said["--metrics-port"]


def test_flower_is_there_when_it_is_asked_for_and_for_nobody_else():
    flower = SERVICES["flower"]
    assert flower["profiles"] == ["flower"]
    assert flower["command"][:2] == ["celery", "flower"]
    assert flower["environment"]["CELERY_BROKER_URL"] == SERVICES["serve"]["environment"]["VECMILL_BROKER_URL"]
    assert re.findall(r" -p (\S+)", COMPOSE.read_text()) == ["127.0.0.1:5555:5555"]


def test_workers_may_write_only_into_the_volume():
    for name in ("worker", "worker-cpu"):
        command = SERVICES[name]["command"]
        assert [command[i + 1] for i, item in enumerate(command) if item == "--allow-root"] == ["/data"]


def test_workers_hand_back_what_they_cannot_finish_before_they_are_killed():
    for name in ("worker", "worker-cpu"):
        command = SERVICES[name]["command"]
        assert SERVICES[name]["stop_grace_period"] == "2m"
        assert float(command[command.index("--grace-seconds") + 1]) <= 110


def test_the_gpu_is_reserved_for_the_gpu_worker_alone():
    (device,) = SERVICES["worker"]["deploy"]["resources"]["reservations"]["devices"]
    assert device["driver"] == "nvidia"
    assert device["capabilities"] == ["gpu"]
    assert "deploy" not in SERVICES["worker-cpu"]
    assert SERVICES["worker-cpu"]["profiles"] == ["cpu"]


def test_every_build_target_is_a_stage():
    assert {SERVICES[name]["build"]["target"] for name in OURS} == {"producer", "worker"} == set(STAGES) - {"base"}


@pytest.mark.parametrize("target", ["producer", "worker"])
def test_an_image_runs_the_command_line_as_a_user_without_rights(target):
    last = {line.split(" ", 1)[0]: line.split(" ", 1)[1] for line in STAGES[target]}
    assert last["USER"] == "vecmill"
    assert json.loads(last["ENTRYPOINT"]) == ["vecmill"]
    understood(json.loads(last["CMD"]))
    assert any("chown vecmill: /data /models" in line for line in STAGES[target])


@pytest.mark.parametrize("target", ["producer", "worker"])
def test_an_image_installs_only_what_the_constraints_pin(target):
    installs = [line for line in STAGES[target] if "pip install" in line]
    assert installs
    assert all("--constraint constraints.txt" in line for line in installs)


def test_only_the_worker_image_has_torch():
    assert any("torch" in line for line in STAGES["worker"])
    assert not any("torch" in line or "[" in line for line in STAGES["producer"] if "pip" in line)


def test_what_the_images_copy_exists_and_reaches_the_builder():
    copied = {
        name for lines in STAGES.values() for line in lines if line.startswith("COPY") for name in line.split()[1:-1]
    }
    assert {"pyproject.toml", "schemas", "producer", "worker"} <= copied
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert copied == allowed
    assert [name for name in copied if not (ROOT / name).exists()] == []
