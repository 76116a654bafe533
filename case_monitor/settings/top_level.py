"""The configuration as a whole."""

from pathlib import Path

from pydantic import Field, SecretStr, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from case_monitor.domain.errors import ConfigError
from case_monitor.domain.policy import Policy
from case_monitor.domain.protocol import Protocol
from case_monitor.settings.browser_urls import BrowserUrl, browser_address
from case_monitor.settings.isolation import IsolationSettings
from case_monitor.settings.model_settings import ModelSettings
from case_monitor.settings.notification_urls import NotificationUrls
from case_monitor.settings.pickles import Pickles
from case_monitor.settings.policy_and_protocol import EnvironmentWithWords, PolicySettings, ProtocolSettings
from case_monitor.settings.registry_alias import RegistryAlias
from case_monitor.settings.server_urls import SecretServerUrl, ServerUrl
from case_monitor.settings.web_access import HostNames, Token, TrustedProxy
from case_monitor.settings.workers import EngineSpec, ThreadsEngine

ENV_PREFIX = "CASE_MONITOR_"


class Settings(BaseSettings):
    """Everything that case_monitor can be told."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX,
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
    )

    tracking_uri: ServerUrl = "sqlite:///mlflow.db"
    """MLflow's tracking server or database. Credentials belong into MLFLOW_TRACKING_USERNAME and _PASSWORD."""
    registry_uri: ServerUrl | None = None
    """MLflow's model registry, where it is not the tracking server."""
    database_url: SecretServerUrl = SecretStr("sqlite:///case-monitor.db")
    """Where results are stored: a SQLite or `postgresql+psycopg2://` URL."""
    alias: RegistryAlias = "champion"
    """The registry alias that marks the version in production, and that the gate moves: letters, digits, `_` and `-`,
    but neither `latest` nor a version such as `v1`, which MLflow reserves."""
    experiment: str = "case_monitor"
    """MLflow experiment of the monitoring runs."""
    evidently_reports: bool = True
    """Whether Evidently's two HTML reports are among the evidence: each evaluation spends some seconds on them."""
    device: str = "auto"
    """torch device; `auto` takes a GPU where there is one."""
    num_workers: int = Field(0, ge=0)
    """Processes that read images, each some seconds to start, and with several workers of the engine again for every
    shard; 0 reads where the work is done."""
    engine: EngineSpec = ThreadsEngine()
    """Where the shards of a large split are worked on: kind `threads` is this machine, `ray` a cluster."""
    isolation: IsolationSettings = IsolationSettings()
    """How registered models are shut in, which are programs of whoever may register one."""
    watch_days: float = Field(7, gt=0)
    """How far back `watch-registry` looks for versions that have no evaluation."""
    evaluations_per_gpu: int = Field(1, ge=1)
    """How many evaluations may use one GPU of one machine at the same time; the others wait."""
    reproduction_images: int = Field(50, ge=1)
    """How many images of a stored evaluation the nightly check predicts and explains again."""
    webhook_secret: SecretStr | None = Field(None, min_length=16)
    """What MLflow signs its webhooks with; without it none is taken. Better in the environment than in the file."""
    service_url: str = "http://127.0.0.1:8000"
    """Where others reach the service, with its path where a proxy gives it one: MLflow sends its webhooks there."""
    mlflow_url: BrowserUrl | None = None
    """Where browsers reach MLflow, for links on the pages; omitted, `tracking_uri` if that is a server."""
    prefect_url: BrowserUrl | None = None
    """Where browsers reach Prefect, for links on the pages; omitted, there are none."""
    read_token: Token | None = None
    """Whoever has it may read the pages and the JSON API. Without it and `trusted_proxy`, everybody who reaches the
    service may. At least 16 characters; better in the environment than in the file."""
    write_token: Token | None = None
    """Whoever has it may read, and acknowledge and mute alerts. Without it and `trusted_proxy`, nobody may do that
    through the web. At least 16 characters; better in the environment than in the file."""
    trusted_proxy: TrustedProxy | None = None
    """A proxy before the service that knows its users."""
    allowed_hosts: HostNames = ()
    """Host names that the pages and the JSON API answer to, besides that of `service_url`, `localhost` and addresses
    in figures."""
    notify: NotificationUrls = ()
    """Apprise URLs (`mailto://`, `slack://`, `json://` and about a hundred more) that are told of alerts."""
    policy: PolicySettings = Policy()
    """When a version may be promoted."""
    protocol: ProtocolSettings = Protocol()
    """How explanations are measured."""
    pickles: Pickles = "allowed"
    """Which versions may be loaded: `allowed` are all, pickled ones and the code in them included; `signed` those
    whose files are all signed; `refused` are all but graphs logged with `serialization_format="pt2"`."""
    signing_key: Path | None = None
    """What verifies the OpenSSF signature (`model.sig`) of a version: the signer's public key, or certificates of those
    who issue signers theirs, as PEM. Needs the extra `case-monitor[signing]`, and no network."""
    models: dict[str, ModelSettings] = {}
    """The monitored models by their registered names."""

    @field_validator("write_token")
    @classmethod
    def _another_token(cls, token: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if token is not None and token == info.data.get("read_token"):
            raise PydanticCustomError("same_token", "another token than read_token was expected")
        return token

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - pydantic's signature
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment goes before the file, whose content comes in as init arguments."""
        return EnvironmentWithWords(settings_cls), init_settings

    @property
    def mlflow_address(self) -> str | None:
        """Where browsers reach MLflow, without credentials; None if they cannot."""
        return self.mlflow_url or browser_address(self.tracking_uri)

    def model(self, name: str) -> ModelSettings:
        """The settings of one model.

        Raises:
            ConfigError: the model is not configured.
        """
        if name not in self.models:
            known = ", ".join(self.models) or "none"
            msg = f"models.{name}: no such model in the configuration (configured: {known})"
            raise ConfigError(msg)
        return self.models[name]

    def policy_of(self, name: str) -> Policy:
        """The policy that judges this model."""
        return self.model(name).policy or self.policy

    def protocol_of(self, name: str) -> Protocol:
        """The protocol that measures this model."""
        return self.model(name).protocol or self.protocol

    def pickles_of(self, name: str) -> Pickles:
        """Which versions of this model may be loaded."""
        return self.model(name).pickles or self.pickles
