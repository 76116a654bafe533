"""What a fault strikes: a registry with a champion and a challenger that passes, a database, and gates as processes."""

import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
from mlflow.tracking import MlflowClient

from case_monitor.registry import model_metadata
from tests.support.commands import Ran
from tests.support.forked_commands import Forked
from tests.support.sources import BlobNet, blobs

CODE = "from tests.faults.struck import main; main()"
CLASS_NAMES = ("north", "east", "south", "west")
GAINS = (0.3, 0.4)  # of version 1, in production, and of version 2, which is as good
CONFIG = """
tracking_uri: {uri}
database_url: {database}
experiment: evidence of {name}
protocol: {{methods: [case], sample_size: 24}}
policy:
  min_samples: 20
  thresholds: [{{metric: accuracy, limit: 0.5, greater_is_better: true}}]
models:
  {name}:
    split: {{kind: npz, path: {split}}}
"""
ALIAS_MOVES = """
CREATE TABLE fault_alias_moves (model TEXT, version INTEGER);
CREATE TRIGGER fault_alias_new AFTER INSERT ON registered_model_aliases
BEGIN INSERT INTO fault_alias_moves VALUES (NEW.name, NEW.version); END;
CREATE TRIGGER fault_alias_changed AFTER UPDATE ON registered_model_aliases
BEGIN INSERT INTO fault_alias_moves VALUES (NEW.name, NEW.version); END;
"""


@dataclass(frozen=True, kw_only=True)
class Ground:
    """What worlds are made of: logged models, and the split; made once."""

    uri: str
    file: Path
    split: Path
    sources: tuple[str, ...]
    artifacts: Path | None = None

    @classmethod
    def prepare(cls, folder: Path, uri: str, file: Path, artifacts: Path | None = None) -> "Ground":
        """Log the models, and have each move of an alias written down by the registry's own database."""
        client = MlflowClient(uri, uri)
        place = None if artifacts else (folder / "logged").as_uri()
        experiment = client.create_experiment("training of those who are struck", place)
        sources = []
        mlflow.set_tracking_uri(uri)
        mlflow.set_registry_uri(uri)
        for gain in GAINS:
            with mlflow.start_run(experiment_id=experiment):
                info = mlflow.pytorch.log_model(
                    BlobNet(len(CLASS_NAMES), gain=gain),
                    name="model",
                    serialization_format="pickle",
                    pip_requirements=["torch"],
                    metadata=model_metadata(class_names=CLASS_NAMES, preprocessing={"mean": [0.0], "std": [1.0]}),
                )
            sources.append(f"models:/{info.model_id}")
        with closing(sqlite3.connect(file)) as database:
            database.executescript(ALIAS_MOVES)
        split = folder / "split.npz"
        source = blobs(40, range(len(CLASS_NAMES)))
        images = (source.images[:, 0].clamp(0, 1) * 255).round().byte().numpy()
        np.savez(split, images=images, labels=source.target, class_names=np.array(CLASS_NAMES))
        return cls(uri=uri, file=file, split=split, sources=tuple(sources), artifacts=artifacts)


@dataclass(kw_only=True)
class World:
    """One model of one trial.

    `registry` is MLflow's own database, `artifacts` where its evidence lies; `uri` is how commands reach MLflow, and
    `folder` where they run.
    """

    name: str
    folder: Path
    uri: str
    registry: Path
    artifacts: Path
    database_url: str
    split: Path
    forked: Forked
    versions: int = 2
    ran: list[Ran] = field(default_factory=list)

    @property
    def temporary(self) -> Path:
        return self.folder / "tmp"

    @property
    def challenger(self) -> str:
        return f"{self.name}/2"

    def configure(self, uri: str | None = None, more: str = "") -> None:
        text = CONFIG.format(uri=uri or self.uri, database=self.database_url, name=self.name, split=self.split)
        (self.folder / "case-monitor.yaml").write_text(text + more)

    def gate(self, strike: dict[str, Any] | None = None, version: int = 2, **environment: str) -> Ran:
        """`case-monitor gate` as a process, struck as ordered."""
        return self.command("gate", f"{self.name}/{version}", strike=strike, **environment)

    def command(self, *arguments: str, strike: dict[str, Any] | None = None, **environment: str) -> Ran:
        self.temporary.mkdir(exist_ok=True)
        environment = {"TMPDIR": str(self.temporary), "COLUMNS": "2000"} | environment
        ran = self.forked(json.dumps(strike or {}), *arguments, cwd=self.folder, code=CODE, environment=environment)
        self.ran.append(ran)
        return ran

    def asked(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """Of MLflow's database, past MLflow."""
        with closing(sqlite3.connect(self.registry, timeout=30)) as database:
            return database.execute(query, values).fetchall()

    def register(self, sources: tuple[str, ...]) -> None:
        client = MlflowClient(self.uri, self.uri)
        client.create_registered_model(self.name)
        for source in sources:
            client.create_model_version(self.name, source, model_id=source.removeprefix("models:/"))
        client.set_registered_model_alias(self.name, "champion", "1")
        self.versions = len(sources)

    def register_more(self, source: str, count: int) -> None:
        """More versions like the challenger."""
        uri = f"sqlite:///{self.registry}"
        client = MlflowClient(uri, uri)
        mlflow.set_tracking_uri(uri)  # which alone is asked where the source lies
        for _ in range(count):
            client.create_model_version(self.name, source)
        self.versions += count


Makes = Callable[..., World]


@contextmanager
def local_world(ground: Ground, template: Path, folder: Path, database_url: str, forked: Forked) -> Iterator[World]:
    """A registry of its own in a SQLite file, copied from one in which the versions are registered."""
    file = folder / "mlflow.db"
    shutil.copy(template, file)
    world = World(
        name="struck",
        folder=folder,
        uri="sqlite:///mlflow.db",
        registry=file,
        artifacts=folder / "mlartifacts",
        database_url=database_url,
        split=ground.split,
        forked=forked,
    )
    world.configure()
    yield world


@contextmanager
def served_world(ground: Ground, name: str, folder: Path, database_url: str, forked: Forked) -> Iterator[World]:
    """A model of its own on the MLflow server that all share."""
    assert ground.artifacts is not None
    world = World(
        name=name,
        folder=folder,
        uri=ground.uri,
        registry=ground.file,
        artifacts=ground.artifacts,
        database_url=database_url,
        split=ground.split,
        forked=forked,
    )
    world.register(ground.sources)
    world.configure()
    yield world
