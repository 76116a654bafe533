"""The files of docker/, without a Docker engine: they are valid, complete, and say nothing that they should not."""

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "docker"
ENTRYPOINTS = sorted((DOCKER / "entrypoints").glob("*.sh"))
SERVICES = {"postgres", "mlflow", "prefect", "setup", "worker", "service", "grafana"}
VARIABLE = re.compile(r"\$\{(\w+)(?::([-?])([^}]*))?\}")
PINNED = re.compile(r"^[\w./-]+:(?!latest)\w*\d[\w.-]*$")


def compose(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((DOCKER / name).read_text())
    return loaded


def with_defaults(value: str) -> str:
    """As Compose reads it where no variable is set; what must be set becomes its own name."""
    return VARIABLE.sub(lambda found: found[3] if found[2] == "-" else found[1], value)


def instructions() -> list[list[str]]:
    """The words of the Dockerfile's instructions."""
    text = (DOCKER / "Dockerfile").read_text().replace("\\\n", " ")
    return [line.split() for line in text.splitlines() if line and not line.startswith("#")]


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    found: dict[str, Any] = compose("compose.yaml")["services"]
    return found


@pytest.mark.parametrize("name", ["compose.yaml", "compose.gpu.yaml"])
def test_a_compose_file_fits_the_specification(name: str) -> None:
    schema = json.loads((ROOT / "tests" / "schemas" / "compose-spec.json").read_text())
    jsonschema.Draft202012Validator(schema).validate(compose(name))


def test_the_schema_refuses_what_is_wrong() -> None:
    schema = json.loads((ROOT / "tests" / "schemas" / "compose-spec.json").read_text())
    broken = compose("compose.yaml")
    broken["services"]["worker"]["depends-on"] = ["postgres"]
    with pytest.raises(jsonschema.ValidationError, match="depends-on"):
        jsonschema.Draft202012Validator(schema).validate(broken)


def test_the_services_are_those_of_the_stack(services: dict[str, Any]) -> None:
    assert set(services) == SERVICES
    for name, service in services.items():
        assert set(service.get("depends_on", {})) <= SERVICES - {name}
        for condition in service.get("depends_on", {}).values():
            assert condition["condition"] in {"service_healthy", "service_completed_successfully"}


def test_the_gpu_file_changes_only_services_that_exist(services: dict[str, Any]) -> None:
    assert set(compose("compose.gpu.yaml")["services"]) <= set(services)


def test_everything_restarts_is_watched_and_has_limits(services: dict[str, Any]) -> None:
    targets = targets_with_health_check()
    for name, service in services.items():
        assert service["restart"] == ("on-failure:3" if name == "setup" else "unless-stopped")
        assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory"}
        if name != "setup":
            assert "healthcheck" in service or service["build"]["target"] in targets, name


def targets_with_health_check() -> set[str]:
    target, found = "", set()
    for words in instructions():
        if words[0] == "FROM":
            target = words[-1]
        elif words[0] == "HEALTHCHECK":
            found.add(target)
    return found


def test_grafana_is_left_out_unless_asked_for_and_no_other_needs_it(services: dict[str, Any]) -> None:
    assert {name: service["profiles"] for name, service in services.items() if "profiles" in service} == {
        "grafana": ["grafana"]
    }
    assert not [name for name, service in services.items() if "grafana" in service.get("depends_on", {})]
    assert services["grafana"]["environment"]["DATABASE_USER"] == "case_monitor_reader"  # who may read the views only


def test_every_image_is_pinned(services: dict[str, Any]) -> None:
    gpu = compose("compose.gpu.yaml")["services"]
    images = [service["image"] for service in [*services.values(), *gpu.values()]]
    bases = [words[1].split("=")[1] for words in instructions() if words[0] == "ARG" and "IMAGE" in words[1]]
    assert len(images) == 8
    assert len(bases) == 1
    for image in [*images, *bases]:
        assert PINNED.match(image), image


def test_images_of_ours_have_the_version_of_the_package(services: dict[str, Any]) -> None:
    version = re.search(r'^version = "(.+)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert version is not None
    gpu = compose("compose.gpu.yaml")["services"]
    built = {service["image"] for service in [*services.values(), *gpu.values()] if "build" in service}
    assert {image.split(":")[1] for image in built} == {version[1]}


def test_every_published_port_is_on_loopback(services: dict[str, Any]) -> None:
    ports = [with_defaults(port) for service in services.values() for port in service.get("ports", [])]
    assert len(ports) == 4
    for port in ports:
        assert re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port)
    assert "ports" not in services["postgres"]
    assert services["postgres"]["networks"] == ["database"]
    assert compose("compose.yaml")["networks"]["database"] == {"internal": True}


def test_the_database_can_be_reached_by_all_that_need_it(services: dict[str, Any]) -> None:
    for name in SERVICES - {"postgres"}:
        assert "database" in services[name]["networks"]
        assert services[name]["environment"]["DATABASE_HOST"] == "postgres"


def test_every_path_exists(services: dict[str, Any]) -> None:
    sources = [volume for service in services.values() for volume in service.get("volumes", [])]
    binds = [v.split(":")[0] if isinstance(v, str) else with_defaults(v["source"]) for v in sources]
    here = [bind for bind in binds if bind.startswith(".")]
    assert here
    assert [bind for bind in here if not (DOCKER / bind).exists()] == []
    named = {bind for bind in binds if not bind.startswith((".", "/"))} - {"CASE_MONITOR_DATA"}
    assert named == set(compose("compose.yaml")["volumes"])
    for service in services.values():
        if build := service.get("build"):
            assert (DOCKER / build["context"]).resolve() == ROOT
            assert (ROOT / build["dockerfile"]).exists()
            assert build["target"] in {words[-1] for words in instructions() if words[0] == "FROM"}


def test_every_command_exists(services: dict[str, Any]) -> None:
    said = json.dumps([services, instructions()])
    scripts = set(re.findall(r"/app/([\w./-]+)", said))
    assert scripts >= {f"docker/entrypoints/{name}.sh" for name in ("mlflow", "prefect-server", "setup", "worker")}
    for script in scripts:
        assert os.access(ROOT / script, os.X_OK if script.endswith(".sh") else os.R_OK), script


def test_every_secret_is_a_file_that_is_not_in_the_repository(services: dict[str, Any]) -> None:
    secrets = compose("compose.yaml")["secrets"]
    asked = {name for service in services.values() for name in service.get("secrets", [])}
    assert asked == set(secrets)
    assert {with_defaults(secret["file"]) for secret in secrets.values()} == {f"./secrets/{n}" for n in secrets}
    assert [*(DOCKER / "secrets").glob("*")] == [] or "/docker/secrets/" in (ROOT / ".gitignore").read_text()
    example = (DOCKER / ".env.example").read_text()
    for name in secrets:
        assert name in example
    for name, service in services.items():
        files = [v for k, v in service.get("environment", {}).items() if k.endswith("_FILE")]
        assert {Path(file).name for file in files} <= set(service.get("secrets", [])), name


@pytest.mark.parametrize("file", [f for f in DOCKER.iterdir() if f.is_file()], ids=lambda file: file.name)
def test_no_secret_stands_in_a_file(file: Path) -> None:
    """A name that sounds like a secret has no value but a file; nothing looks like a key or a URL with a password."""
    for line in file.read_text().splitlines():
        assert not re.search(r"[0-9a-f]{32}|[\w-]{43}=|://\w+:[\w-]+@", line), line
        if file.suffix == ".yaml":
            value = re.match(r"\s*\w*(?:PASSWORD|SECRET|KEY|AUTH_STRING)\w*:\s*(\S+)", line)
            assert value is None or value[1].startswith("/run/secrets/"), line


def test_every_variable_has_a_line_in_the_example(services: dict[str, Any]) -> None:
    text = "\n".join((DOCKER / name).read_text() for name in ("compose.yaml", "compose.gpu.yaml"))
    used = {found[1] for found in VARIABLE.finditer(text)}
    explained = set(re.findall(r"^(?:# )?(\w+)=", (DOCKER / ".env.example").read_text(), re.MULTILINE))
    assert used == explained


@pytest.mark.parametrize("script", ENTRYPOINTS, ids=lambda path: path.name)
def test_an_entry_point_is_a_shell_program(script: Path) -> None:
    subprocess.run(["sh", "-n", script], check=True)
    if shellcheck := shutil.which("shellcheck"):
        options = ["--shell=sh", "--external-sources", "--source-path", str(script.parent)]
        subprocess.run([shellcheck, *options, script], check=True)


@pytest.mark.parametrize("script", ["mlflow.sh", "prefect-server.sh", "worker.sh", "service.sh", "setup.sh"])
def test_an_entry_point_says_what_it_misses(script: str) -> None:
    done = run_entry_point(script)
    assert (done.returncode, done.stderr) == (2, f"{script}: DATABASE_HOST is not set\n")


def test_a_secret_is_given_once_and_can_be_read(tmp_path: Path) -> None:
    file = tmp_path / "password"
    done = run_entry_point("mlflow.sh", DATABASE_PASSWORD_FILE=str(file))
    assert f"DATABASE_PASSWORD_FILE: {file} cannot be read by" in done.stderr
    file.write_text("x")
    done = run_entry_point("mlflow.sh", DATABASE_PASSWORD_FILE=str(file), DATABASE_PASSWORD="y")
    assert done.stderr == "mlflow.sh: DATABASE_PASSWORD and DATABASE_PASSWORD_FILE are both set; one was expected\n"
    assert done.returncode == 2


def test_a_password_goes_neither_into_the_url_nor_stays_in_two_places(tmp_path: Path) -> None:
    """With a `prefect` on the path that shows what it was started with."""
    (tmp_path / "prefect").write_text('#!/bin/sh\nenv; echo "arguments=$*"\n')
    (tmp_path / "prefect").chmod(0o755)
    (tmp_path / "password").write_text("p@ss: /w'rd$HOME`\n")
    done = run_entry_point(
        "prefect-server.sh",
        PATH=f"{tmp_path}:{os.environ['PATH']}",
        DATABASE_HOST="db",
        DATABASE_PASSWORD_FILE=str(tmp_path / "password"),
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert "PREFECT_SERVER_DATABASE_CONNECTION_URL=postgresql+asyncpg://prefect@db:5432/prefect" in lines
    assert [line for line in lines if "p@ss" in line] == ["PGPASSWORD=p@ss: /w'rd$HOME`"]
    assert "arguments=--no-prompt server start --host 127.0.0.1 --port 4200" in lines


def test_the_worker_image_runs_a_single_flow_for_workers_of_other_types(tmp_path: Path) -> None:
    (tmp_path / "case-monitor.yaml").write_text("models: {}")
    (tmp_path / "password").write_text("from a file")
    told = {
        "DATABASE_HOST": "db",
        "DATABASE_PASSWORD_FILE": str(tmp_path / "password"),
        "CASE_MONITOR_CONFIG": str(tmp_path / "case-monitor.yaml"),
        "CASE_MONITOR_TRACKING_URI": "http://mlflow:5000",
        "PREFECT_API_URL": "http://prefect:4200/api",
    }
    done = run_entry_point("worker.sh", "sh", "-c", "echo $CASE_MONITOR_DATABASE_URL $PGPASSWORD; pwd", **told)
    url = "postgresql+psycopg2://case_monitor@db:5432/case_monitor"
    assert (done.stdout, done.stderr) == (f"{url} from a file\n{ROOT}\n", "")


def run_entry_point(script: str, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    environment = {"PATH": os.environ["PATH"]} | environment
    command = [str(DOCKER / "entrypoints" / script), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=30)


def test_what_the_dockerfile_copies_exists_and_is_not_ignored() -> None:
    copies = [words for words in instructions() if words[0] == "COPY" and not words[1].startswith("--from")]
    sources = {source for words in copies for source in words[1:-1]}
    assert [source for source in sources if not (ROOT / source).exists()] == []
    ignore = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in ignore
    assert {line[1:] for line in ignore if line.startswith("!")} == sources


def test_the_images_run_without_root_and_with_the_constraints() -> None:
    text = (DOCKER / "Dockerfile").read_text()
    for stage in re.split(r"^FROM ", text, flags=re.MULTILINE)[1:]:
        if "ENTRYPOINT" in stage or "docker/entrypoints " in stage:
            assert "USER 10001:10001" in stage or stage.startswith("case-monitor AS")
    installs = [line for line in text.splitlines() if "pip install" in line]
    assert len(installs) == 3
    for line in installs:
        assert "--constraint /tmp/constraints.txt" in line


def test_no_container_of_ours_can_become_root_or_do_what_root_may(services: dict[str, Any]) -> None:
    for name, service in services.items():
        assert "no-new-privileges:true" in service["security_opt"], name
        assert not {"privileged", "cap_add", "pid", "devices", "user"} & service.keys(), name
        if name != "postgres":  # its entry point hands its folder over before it gives up root
            assert service["cap_drop"] == ["ALL"], name


def test_every_image_that_is_used_ends_without_root(services: dict[str, Any]) -> None:
    """A stage begins as the one that it is made from ended."""
    user: dict[str, str] = {}
    stage = ""
    for words in instructions():
        if words[0] == "FROM":
            stage = words[3]
            user[stage] = user.get(words[1], "root")
        elif words[0] == "USER":
            user[stage] = words[1]
    used = {service["build"]["target"] for service in services.values() if "build" in service}
    assert used == {"servers", "worker", "service"}
    assert {user[stage] for stage in used} == {"10001:10001"}


def test_no_secret_is_kept_in_a_layer() -> None:
    """What ARG and ENV hold stays in the image's history."""
    named = [words for words in instructions() if words[0] in {"ARG", "ENV"}]
    assert len(named) >= 4
    for words in named:
        assert not re.search(r"(?i)password|secret|token|credential|api_?key|auth", " ".join(words)), words


def test_the_image_has_flows_migrations_and_templates(tmp_path: Path) -> None:
    """The wheel as the image builds it: from the copied files only."""
    source = tmp_path / "src"
    source.mkdir()
    stage = (DOCKER / "Dockerfile").read_text().split("AS wheel")[1].split("FROM ")[0]
    for names in re.findall(r"^COPY (.+) \S+$", stage, re.MULTILINE):
        for name in names.split():
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
            copy(ROOT / name, source / name)
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*pip, "--wheel-dir", tmp_path, source], check=True)
    [wheel] = tmp_path.glob("*.whl")
    found = set(zipfile.ZipFile(wheel).namelist())
    for folder, target in {
        "case_monitor": "case_monitor",
        "migrations": "case_monitor/migrations",
    }.items():
        files = [p.relative_to(ROOT / folder) for p in (ROOT / folder).rglob("*") if p.is_file()]
        wanted = {f"{target}/{p}" for p in files if "__pycache__" not in p.parts}
        assert wanted <= found
    assert not any(name.startswith("flows") for name in found), "a user's own package has that name"
    image = (DOCKER / "Dockerfile").read_text().split("AS case-monitor")[1].split("FROM ")[0]
    copied = re.findall(r"^COPY (\S+) \1$", image, re.MULTILINE)
    for deployment in yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]:
        entrypoint = Path(deployment["entrypoint"].split(":")[0])
        assert (ROOT / entrypoint).is_file()
        assert entrypoint.parts[0] in copied
