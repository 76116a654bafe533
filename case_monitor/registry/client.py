"""The MLflow model registry: find a version, download it, move aliases, set tags. Nothing of a model is run."""

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Literal

import mlflow
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from case_monitor.domain.errors import NotFoundError, RegistryError
from case_monitor.domain.model_ref import ModelRef
from case_monitor.registry.answers import require_named, says_no_alias, says_no_model, version_named
from case_monitor.registry.digest import digest_directory
from case_monitor.registry.one_line import one_line
from case_monitor.registry.seed_group import seed_group_of

_REGISTERED: Literal["model_version.created"] = "model_version.created"
_NEWEST = "latest"  # MLflow's own word for the newest version, which has no such alias


class Registry:
    """One MLflow registry. Every failure is a `RegistryError` or `ModelError` of one line."""

    def __init__(self, tracking_uri: str, registry_uri: str | None = None) -> None:
        # A dead server should be reported in seconds; the flow retries on top.
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")
        os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
        with one_line(f"registry {registry_uri or tracking_uri}"):
            mlflow.set_tracking_uri(tracking_uri)
            mlflow.set_registry_uri(registry_uri or tracking_uri)
            self._client = MlflowClient(tracking_uri, registry_uri or tracking_uri)
        self._uri = registry_uri or tracking_uri

    def resolve(self, ref: ModelRef) -> int:
        """The version number behind a reference.

        Raises:
            RegistryError: there is no such model, version or alias.
        """
        with one_line(f"model {ref}"):
            if ref.version is None:
                return self._holder(ref.name, str(ref.alias))
            return version_named(self._client.get_model_version(ref.name, str(ref.version)), ref.name, ref.version)

    def has_version(self, ref: ModelRef) -> bool:
        """Whether there is such a version."""
        try:
            self.resolve(ref)
        except NotFoundError:
            return False
        return True

    def newest_version(self, name: str) -> int | None:
        """The version that was registered last, or None."""
        with one_line(f"model {name}"):
            found = self._client.search_model_versions(_of(name), max_results=1, order_by=["version_number DESC"])
            if not found:
                self._require_without_versions(name)
            return version_named(found[0], name) if found else None

    def alias_holder(self, name: str, alias: str) -> int | None:
        """The version that holds `alias`; None only where the registry says in so many words that none does.

        An answer with nothing in it is no answer: taken for "none", it would promote without a comparison.
        """
        with one_line(f"model {name}"):
            try:
                return self._holder(name, alias)
            except MlflowException as error:
                if not says_no_alias(error, alias):
                    raise
            model = self._client.get_registered_model(name)
            require_named(model, name)
            if alias in model.aliases:
                has = model.aliases[alias]
                raise RegistryError(f"the registry says that alias {alias} is not there, and that version {has} has it")
            return None

    def _holder(self, name: str, alias: str) -> int:
        found = self._client.get_model_version_by_alias(name, alias)
        version = version_named(found, name)
        if found.aliases and alias not in found.aliases and alias.lower() != _NEWEST:
            msg = f"the registry says that version {version} has alias {alias}, and that it has only {found.aliases}"
            raise RegistryError(msg)
        return version

    def _require_without_versions(self, name: str) -> None:
        """An empty list is believed where the registry knows the model, and names no version of it, or knows none."""
        try:
            model = self._client.get_registered_model(name)
        except MlflowException as error:
            if says_no_model(error, name):
                return
            raise
        require_named(model, name)
        if model.latest_versions:
            latest = model.latest_versions[0].version
            raise RegistryError(f"the registry lists no version, and says that {latest} is one")

    def versions_since(self, name: str, since: datetime) -> list[int]:
        """The versions registered after a time, the oldest first."""
        with one_line(f"model {name}"):
            found: list[int] = []
            token = None
            while True:
                page = self._client.search_model_versions(_of(name), max_results=200, page_token=token)
                if not page and token is None:
                    self._require_without_versions(name)
                numbers = [(version_named(v, name), v.creation_timestamp) for v in page]
                found += [number for number, created in numbers if created >= since.timestamp() * 1000]
                token = page.token
                if not token:
                    return sorted(found)

    def artifact_digest(self, name: str, version: int) -> str:
        """Of a version's artifact as it is now; nothing of it is run."""
        with self.downloaded(name, version) as (path, _, _):
            return digest_directory(path)

    @contextmanager
    def downloaded(self, name: str, version: int) -> Iterator[tuple[Path, str | None, str | None]]:
        """The files of a version, the run that logged it, and its study of seeds."""
        with tempfile.TemporaryDirectory(prefix="case-monitor-") as directory:
            with one_line(f"model {name}/{version}"):
                found = self._client.get_model_version(name, str(version))
                version_named(found, name, version)
                # Not models:/<name>/<version>, which MLflow reads as an alias where the name has an @.
                uri = self._client.get_model_version_download_uri(name, str(version))
                if not found.source or not uri:
                    raise RegistryError("the place of its files was expected, the registry names none")
                path = Path(mlflow.artifacts.download_artifacts(uri, dst_path=directory, tracking_uri=self._uri))
            yield path, found.run_id or None, seed_group_of(found)

    def set_alias(self, name: str, alias: str, version: int) -> None:
        """Point `alias` at a version, and see that it is so."""
        with one_line(f"alias {alias} of model {name}"):
            self._client.set_registered_model_alias(name, alias, str(version))
            self._require_holder(name, alias, version)

    def remove_alias(self, name: str, alias: str) -> None:
        """Take `alias` from whatever version has it."""
        with one_line(f"alias {alias} of model {name}"):
            self._client.delete_registered_model_alias(name, alias)
            self._require_holder(name, alias, None)

    def _require_holder(self, name: str, alias: str, version: int | None) -> None:
        holder = self.alias_holder(name, alias)
        if holder != version:
            raise RegistryError(f"version {version or 'none'} was to hold it, version {holder or 'none'} does")

    def set_webhook(self, name: str, url: str, secret: str) -> bool:
        """Have the server post to `url` whenever a version is registered; False if one of that name was renewed."""
        with one_line(f"webhook {name}"):
            found = [hook for hook in self._client.list_webhooks() if hook.name == name]
            for hook in found[1:]:
                self._client.delete_webhook(hook.webhook_id)
            if found:
                self._client.update_webhook(
                    found[0].webhook_id, url=url, events=[_REGISTERED], secret=secret, status="ACTIVE"
                )
            else:
                self._client.create_webhook(name, url, [_REGISTERED], secret=secret)
        return not found

    def set_tags(self, name: str, version: int, tags: Mapping[str, str]) -> None:
        """Set tags on a version, and see that they are there."""
        with one_line(f"tags of model {name}/{version}"):
            for key, value in tags.items():
                self._client.set_model_version_tag(name, str(version), key, value)
            there = self._client.get_model_version(name, str(version)).tags
            lost = sorted(key for key in tags if key not in there)
            if lost:
                raise RegistryError(f"they were set, and {', '.join(lost[:5])} are not there")


def _of(name: str) -> str:
    """A filter as MLflow wants it; a name with both quotes cannot be asked for."""
    mark = '"' if "'" in name else "'"
    return f"name = {mark}{name}{mark}"
