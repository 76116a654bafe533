"""Configuration: every mistake is a ConfigError with the field's path, and no secret is ever shown."""

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from case_monitor.domain.errors import ConfigError
from case_monitor.domain.policy import CONTRAST_THRESHOLDS, PAPER_THRESHOLDS, Policy
from case_monitor.domain.protocol import Protocol
from case_monitor.logs.foreign_errors import short_message
from case_monitor.settings import ImageFolderSplit, NpzSplit, Preprocessing, Settings, load_settings, read_class_map
from case_monitor.settings.environment import require_known_variables

Load = Callable[[str], Settings]
MODEL = "models: {{digits: {{split: {{kind: npz, path: val.npz}}, {}}}}}"


@pytest.fixture(autouse=True)
def no_configuration(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither the environment nor the working directory of whoever runs the tests may matter."""
    for name in [name for name in os.environ if name.startswith("CASE_MONITOR_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def load(tmp_path: Path) -> Load:
    def load_text(text: str) -> Settings:
        file = tmp_path / "case-monitor.yaml"
        file.write_text(text, encoding="utf-8")
        return load_settings(file)

    return load_text


def error_of(load: Load, text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load(text)
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    ("text", "path", "problem"),
    [
        ("polcy: {}", "polcy", "no such field"),
        ("models: {d: {splt: 1}}", "models.d.splt", "no such field"),
        ("models: {d: {split: {kind: npz, path: x, pth: y}}}", "models.d.split.pth", "no such field"),
        ("models: {d: {split: {kind: npz}}}", "models.d.split.path", "Field required"),
        (MODEL.format("preprocessing: {men: [0.5]}"), "models.digits.preprocessing.men", "no such field"),
        (MODEL.format("policy: {min_sample: 3}"), "models.digits.policy.min_sample", "no such field"),
        ("policy: {min_sample: 3}", "policy.min_sample", "no such field"),
        ("policy: {thresholds: [{metrik: x}]}", "policy.thresholds.0.metrik", "no such field"),
        ("protocol: {sample_sise: 3}", "protocol.sample_sise", "no such field"),
        ("policy: {min_samples: many}", "policy.min_samples", "'many' came"),
        ("policy: 5", "policy", "5 came"),
        ("models: {d: 5}", "models.d", "5 came"),
        ("num_workers: -1", "num_workers", "-1 came"),
        ("models: {d: {split: {kind: function, function: a b}}}", "models.d.split.function", "'a b' came"),
        ("models: {d: {split: {kind: mlflow_artifact, uri: x, format: zip}}}", "models.d.split.format", "'zip' came"),
    ],
)
def test_a_wrong_field_is_named_by_its_path(load: Load, text: str, path: str, problem: str) -> None:
    message = error_of(load, text)
    assert message.startswith(f"case-monitor.yaml: {path}: "), message
    assert problem in message


def test_an_unknown_kind_of_split_is_answered_with_the_known_ones(load: Load) -> None:
    message = error_of(load, "models: {d: {split: {kind: zip, path: x}}}")
    assert message.startswith("case-monitor.yaml: models.d.split: ")
    assert "'zip'" in message
    assert all(kind in message for kind in ("image_folder", "cifar10", "npz", "mlflow_artifact", "function"))


def test_a_split_without_a_kind_is_an_error(load: Load) -> None:
    assert "models.d.split: " in error_of(load, "models: {d: {split: {path: x}}}")


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("protocol: {sample_size: 0}", "protocol.sample_size"),
        ("protocol: {contrast_k: -1}", "protocol.contrast_k"),
        ("protocol: {batch_size: 0}", "protocol.batch_size"),
        ("protocol: {seed: -1}", "protocol.seed"),
        ("protocol: {areas: [0.5, 1.5]}", "protocol.areas"),
        ("protocol: {areas: [0]}", "protocol.areas"),
        ("protocol: {areas: [.nan]}", "protocol.areas"),
        ("protocol: {fills: [mean, black]}", "protocol.fills"),
        ("protocol: {activity_threshold: -0.1}", "protocol.activity_threshold"),
        ("policy: {min_samples: 0}", "policy.min_samples"),
        ("policy: {confidence_level: 2}", "policy.confidence_level"),
        ("policy: {confidence_level: .nan}", "policy.confidence_level"),
        (
            "policy: {thresholds: [{metric: accuracy, limit: .nan, greater_is_better: true}]}",
            "policy.thresholds[0].limit",
        ),
        (MODEL.format("protocol: {sample_size: 0}"), "models.digits.protocol.sample_size"),
        (MODEL.format("preprocessing: {mean: [0.5]}"), "models.digits.preprocessing.std"),
        (MODEL.format("preprocessing: {mean: [0, 0], std: [1]}"), "models.digits.preprocessing.std"),
        (MODEL.format("preprocessing: {mean: [0.5], std: [0]}"), "models.digits.preprocessing.std"),
        (MODEL.format("preprocessing: {resize: 0}"), "models.digits.preprocessing.resize"),
        (MODEL.format("preprocessing: {crop: -3}"), "models.digits.preprocessing.crop"),
    ],
)
def test_a_value_out_of_range_is_refused(load: Load, text: str, path: str) -> None:
    message = error_of(load, text)
    assert message.startswith(f"case-monitor.yaml: {path}: "), message
    assert " came" in message


@pytest.mark.parametrize(
    "text", ["protocol: {contrast_k: 0}", "protocol: {areas: [0.05, 1]}", "policy: {min_samples: 6}"]
)
def test_a_value_at_the_edge_of_its_range_is_accepted(load: Load, text: str) -> None:
    load(text)


def test_several_problems_are_said_at_once(load: Load) -> None:
    message = error_of(load, "polcy: 1\nnum_workers: x\n")
    assert "polcy: no such field" in message
    assert "num_workers: " in message


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("policy: [1\nalias: x", "not YAML: line 2, column 6"),
        ("- 1\n- 2", "list came"),
        ("just words", "str came"),
        ("1: x", "dict came"),
    ],
)
def test_a_file_that_is_no_mapping_is_an_error(load: Load, text: str, problem: str) -> None:
    message = error_of(load, text)
    assert message.startswith("case-monitor.yaml: ")
    assert problem in message


def test_a_file_in_another_encoding_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "latin.yaml"
    file.write_bytes("alias: m\u00e4rz".encode("latin-1"))
    with pytest.raises(ConfigError, match=r"latin\.yaml: a text in UTF-8 was expected"):
        load_settings(file)


def test_a_missing_file_that_was_asked_for_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.yaml: No such file"):
        load_settings(tmp_path / "nowhere.yaml")


def test_a_directory_is_no_configuration_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="Is a directory"):
        load_settings(tmp_path)


def test_without_a_file_there_are_defaults(tmp_path: Path) -> None:
    settings = load_settings()
    assert settings.policy == Policy()
    assert settings.protocol == Protocol()
    assert settings.models == {}


def test_an_empty_file_means_the_defaults(load: Load) -> None:
    assert load("# nothing yet\n").policy == Policy()


def test_the_file_of_the_working_directory_is_found(tmp_path: Path) -> None:
    (tmp_path / "case-monitor.yaml").write_text("alias: live")
    assert load_settings().alias == "live"


def test_a_variable_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "case-monitor.yaml").write_text("alias: here")
    (tmp_path / "other.yaml").write_text("alias: there")
    monkeypatch.setenv("CASE_MONITOR_CONFIG", "other.yaml")
    assert load_settings().alias == "there"
    assert load_settings("case-monitor.yaml").alias == "here"


def test_a_variable_that_names_no_file_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CASE_MONITOR_CONFIG", "gone.yaml")
    with pytest.raises(ConfigError, match=r"gone\.yaml"):
        load_settings()


def test_the_environment_goes_before_the_file(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CASE_MONITOR_ALIAS", "live")
    monkeypatch.setenv("CASE_MONITOR_NUM_WORKERS", "3")
    settings = load("alias: champion\nexperiment: mine\n")
    assert (settings.alias, settings.num_workers, settings.experiment) == ("live", 3, "mine")


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("CASE_MONITOR_DATABSE_URL", "CASE_MONITOR_DATABASE_URL was expected"),
        ("case_monitor_databse_url", "CASE_MONITOR_DATABASE_URL was expected"),
        ("CASE_MONITOR_CONFG", "CASE_MONITOR_CONFIG"),
        ("CASE_MONITOR_POLICY_MIN_SAMPLES", "CASE_MONITOR_POLICY__MIN_SAMPLES"),
        ("CASE_MONITOR_POLCY__MIN_SAMPLES", "CASE_MONITOR_POLICY__MIN_SAMPLES"),
        ("CASE_MONITOR_READ_TOKEN_FILE", "CASE_MONITOR_READ_TOKEN"),
        ("CASE_MONITOR_ZZZ", "docs/configuration.md"),
        ("CASE_MONITOR_ALIAS__X", "CASE_MONITOR_ALIAS was expected"),
        ("CASE_MONITOR_DATABASE_URL__X", "CASE_MONITOR_DATABASE_URL was expected"),
        ("CASE_MONITOR_NOTIFY__0", "CASE_MONITOR_NOTIFY"),
    ],
)
def test_a_variable_that_nothing_reads_is_an_error(
    load: Load, monkeypatch: pytest.MonkeyPatch, name: str, meant: str
) -> None:
    monkeypatch.setenv(name, "hunter2secret")
    message = error_of(load, "")
    assert message.startswith(f"environment: {name}: no such setting; ")
    assert meant in message
    assert "hunter2" not in message


@pytest.mark.parametrize(
    "name",
    [
        "CASE_MONITOR_LOG_FORMAT",
        "CASE_MONITOR_WEBHOOK_SECRET_FILE",
        "CASE_MONITOR_TEST_DATABASE_URL",
        "case_monitor_policy__min_samples",
        "CASE_MONITOR_SERVICE_HOST",  # Kubernetes, of a service called case-monitor
        "CASE_MONITOR_SERVICE_PORT_HTTP",
        "CASE_MONITOR_PORT_8000_TCP_ADDR",
        "CASE_MONITOR_WEB_SERVICE_HOST",
    ],
)
def test_a_variable_that_something_reads_is_none(load: Load, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "20")
    load("")


def test_the_list_of_variables_is_whole() -> None:
    """Whatever the code, its documents and its containers speak of is known."""
    root = Path(__file__).parents[2]
    files = [*root.glob("case_monitor/**/*.py"), *root.glob("docker/**/*"), *root.glob("docs/*.md"), root / "README.md"]
    texts = [file.read_text(encoding="utf-8") for file in files if file.is_file() and file.suffix != ".pyc"]
    names = {name for text in texts for name in re.findall(r"CASE_MONITOR_[A-Z]\w+", text)}
    assert len(names) > 10
    require_known_variables(dict.fromkeys(names, ""))


def test_a_nested_variable_replaces_one_field_and_leaves_the_file_its_others(
    load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CASE_MONITOR_POLICY__MIN_SAMPLES", "7")
    settings = load("policy: {min_samples: 5, gate_method: gradcam}")
    assert (settings.policy.min_samples, settings.policy.gate_method) == (7, "gradcam")


CONTRAST = Policy(thresholds=CONTRAST_THRESHOLDS)


@pytest.mark.parametrize(
    ("text", "variables", "expected"),
    [
        ("policy: contrast", {}, CONTRAST),
        ("policy: paper", {}, Policy(thresholds=PAPER_THRESHOLDS)),
        (
            "policy: {thresholds: contrast, min_samples: 50}",
            {},
            Policy(thresholds=CONTRAST_THRESHOLDS, min_samples=50),
        ),
        ("", {"POLICY": "contrast"}, CONTRAST),
        ("", {"POLICY__THRESHOLDS": "contrast"}, CONTRAST),
        ("policy: paper", {"POLICY": "contrast"}, CONTRAST),
        (
            "policy: contrast",
            {"POLICY__MIN_SAMPLES": "50"},
            Policy(thresholds=CONTRAST_THRESHOLDS, min_samples=50),
        ),
        (
            "policy: {gate_method: gradcam}",
            {"POLICY": "contrast", "POLICY__MIN_SAMPLES": "50"},
            Policy(thresholds=CONTRAST_THRESHOLDS, gate_method="gradcam", min_samples=50),
        ),
    ],
)
def test_rules_are_had_by_a_word_beside_which_other_fields_stand(
    load: Load, monkeypatch: pytest.MonkeyPatch, text: str, variables: dict[str, str], expected: Policy
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(f"CASE_MONITOR_{name}", value)
    assert load(text).policy == expected


def test_a_model_has_rules_by_a_word_and_fields_of_the_environment_beside_them(
    load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CASE_MONITOR_MODELS__digits__POLICY__MIN_SAMPLES", "50")
    settings = load(MODEL.format("policy: contrast"))
    assert settings.policy_of("digits") == Policy(thresholds=CONTRAST_THRESHOLDS, min_samples=50)


@pytest.mark.parametrize("text", ["policy: contrst", "policy: {thresholds: contrst}"])
def test_another_word_is_refused_with_those_that_there_are(load: Load, text: str) -> None:
    message = error_of(load, text)
    assert "or the word contrast or paper, were expected" in message
    assert message.count("'contrst' came") == 1


def test_another_word_in_the_environment_is_refused(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CASE_MONITOR_POLICY", "contrst")
    assert error_of(load, "").startswith("CASE_MONITOR_POLICY: policy: fields, or the word contrast or paper")


def test_a_nested_variable_can_hold_a_list(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CASE_MONITOR_PROTOCOL__AREAS", "[0.05, 0.2]")
    monkeypatch.setenv("CASE_MONITOR_PROTOCOL__METHODS", '["case"]')
    settings = load("protocol: {areas: [0.5], seed: 4}")
    assert settings.protocol == Protocol(areas=(0.05, 0.2), methods=("case",), seed=4)


def test_a_nested_variable_can_hold_a_mapping(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CASE_MONITOR_PROTOCOL__LABEL_THRESHOLDS", '{"Cat": 0.3}')
    assert load("protocol: {label_threshold: 0.4}").protocol == Protocol(
        label_threshold=0.4, label_thresholds={"Cat": 0.3}
    )
    monkeypatch.setenv("CASE_MONITOR_PROTOCOL__LABEL_THRESHOLDS", '{"Cat": 1.3}')
    assert "label_thresholds.Cat: a probability above 0 and below 1" in error_of(load, "")


def test_a_variable_can_hold_everything_of_a_field(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CASE_MONITOR_MODELS", '{"digits": {"split": {"kind": "npz", "path": "val.npz"}}}')
    assert load("").models.keys() == {"digits"}


@pytest.mark.parametrize(
    ("variable", "value", "problem"),
    [
        ("CASE_MONITOR_NUM_WORKERS", "many", "CASE_MONITOR_NUM_WORKERS: num_workers: "),
        ("CASE_MONITOR_POLICY__MIN_SAMPLE", "3", "CASE_MONITOR_POLICY__MIN_SAMPLE: policy.min_sample: no such field"),
        ("CASE_MONITOR_PROTOCOL__AREAS", "[0.1", "CASE_MONITOR_PROTOCOL__AREAS: protocol.areas: "),
        ("CASE_MONITOR_PROTOCOL__SAMPLE_SIZE", "0", "protocol.sample_size: 1 or more was expected, 0 came"),
        ("CASE_MONITOR_MODELS", "{digits", 'variables CASE_MONITOR_*: error parsing value for field "models"'),
    ],
)
def test_a_wrong_variable_is_named(
    load: Load, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, problem: str
) -> None:
    monkeypatch.setenv(variable, value)
    assert problem in error_of(load, "alias: champion")


def test_the_database_password_is_in_no_text(load: Load) -> None:
    settings = load("database_url: postgresql+psycopg2://me:hunter2@host/db")
    assert settings.database_url.get_secret_value() == "postgresql+psycopg2://me:hunter2@host/db"
    assert "hunter2" not in f"{settings!r} {settings!s} {settings.model_dump_json()}"


@pytest.mark.parametrize(
    "text",
    [
        "database_url: [postgresql://me:hunter2@host/db]",
        "database_url: {url: postgresql://me:hunter2@host/db}",
        "databse_url: postgresql://me:hunter2@host/db",
        "database_url: postgresql://me:hunter2@host: db",
        "database_url: 'postgresql://me:hunter2@host/db",
        "num_workers: http://me:hunter2@host/",
        "database_url: 0x68756e746572",
    ],
)
def test_the_database_password_is_in_no_error(load: Load, text: str) -> None:
    message = error_of(load, text)
    assert "hunter2" not in message
    assert str(0x68756E746572) not in message


def test_the_password_in_a_variable_is_in_no_error(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CASE_MONITOR_DATABASE_URL", "postgresql://me:hunter2@host/db")
    assert "hunter2" not in error_of(load, "database_url: 5\nnum_workers: x")


@pytest.mark.parametrize(
    ("text", "urls"),
    [
        ("notify: ['json://host/a', 'mailto://me:hunter2@host']", ["json://host/a", "mailto://me:hunter2@host"]),
        ("notify: json://host/a", ["json://host/a"]),
        ("", []),
    ],
)
def test_notification_urls(load: Load, text: str, urls: list[str]) -> None:
    settings = load(text)
    assert [url.get_secret_value() for url in settings.notify] == urls
    assert "hunter2" not in f"{settings!r} {settings!s} {settings.model_dump_json()}"


@pytest.mark.parametrize(
    ("value", "count"), [("json://me:hunter2@host/a", 1), ('["json://host/a", "json://host/b"]', 2), ("", 0)]
)
def test_notification_urls_in_a_variable(load: Load, monkeypatch: pytest.MonkeyPatch, value: str, count: int) -> None:
    monkeypatch.setenv("CASE_MONITOR_NOTIFY", value)
    assert len(load("notify: [json://in/the/file]").notify) == count


@pytest.mark.parametrize(
    "text",
    [
        "notify: [hunter2]",
        "notify: hunter2",
        "notify: '[hunter2'",
        "notify: {url: json://hunter2}",
        "notify: [[json://hunter2]]",
        "notify: ['json://hunter2 and more']",
        "notify: [json://host/a, 'ht!tp://hunter2']",
        "notfy: [json://hunter2]",
    ],
)
def test_a_wrong_notification_url_is_named_and_not_shown(
    load: Load, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    message = error_of(load, text)
    assert message.startswith("case-monitor.yaml: not")
    assert "hunter2" not in message
    monkeypatch.setenv("CASE_MONITOR_NOTIFY", "hunter2")
    message = error_of(load, "")
    assert message == (
        "CASE_MONITOR_NOTIFY: notify.0: a URL of Apprise was expected, such as json://host/path; "
        "what came may be secret"
    )


def test_a_number_is_no_notification_url(load: Load) -> None:
    assert str(0x68756E746572) not in error_of(load, "notify: [0x68756e746572]")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\n  b", "a b"),
        ("http://me:hunter2@host/x", "http://***@host/x"),
        ("http://me:p@ss@host/x", "http://***@host/x"),
        ("http://host/a@b", "http://host/a@b"),
    ],
)
def test_a_foreign_message_is_one_line_without_credentials(text: str, shown: str) -> None:
    assert short_message(text) == shown


def test_relative_places_are_below_the_files_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home, elsewhere = tmp_path / "home", tmp_path / "elsewhere"
    home.mkdir()
    elsewhere.mkdir()
    (home / "c.yaml").write_text(
        "tracking_uri: sqlite:///runs.db\nregistry_uri: sqlite:///registry.db\ndatabase_url: sqlite:///out/results.db\n"
        "models:\n  a: {split: {kind: npz, path: val.npz}}\n  b: {split: {kind: image_folder, path: ../images}}\n"
    )
    monkeypatch.chdir(elsewhere)
    settings = load_settings("../home/c.yaml")
    base = elsewhere / ".." / "home"
    places = (settings.tracking_uri, settings.registry_uri, settings.database_url.get_secret_value())
    assert places == tuple(f"sqlite:///{base / name}" for name in ("runs.db", "registry.db", "out/results.db"))
    assert settings.models["a"].split == NpzSplit(kind="npz", path=base / "val.npz")
    assert settings.models["b"].split == ImageFolderSplit(kind="image_folder", path=base / "../images")


def test_the_default_databases_lie_beside_the_file(load: Load, tmp_path: Path) -> None:
    settings = load("")
    assert settings.tracking_uri == f"sqlite:///{tmp_path / 'mlflow.db'}"
    assert settings.database_url.get_secret_value() == f"sqlite:///{tmp_path / 'case-monitor.db'}"
    assert settings.registry_uri is None


@pytest.mark.parametrize(
    "uri", ["http://host:5000", "sqlite:////srv/mlflow.db", "postgresql://host/db", "sqlite:///:memory:"]
)
def test_absolute_places_stay(load: Load, uri: str) -> None:
    assert load(f"tracking_uri: '{uri}'").tracking_uri == uri


def test_an_absolute_path_stays(load: Load, tmp_path: Path) -> None:
    split = load(f"models: {{a: {{split: {{kind: npz, path: {tmp_path}/x/val.npz}}}}}}").models["a"].split
    assert split == NpzSplit(kind="npz", path=tmp_path / "x" / "val.npz")


def test_a_model_can_have_a_policy_and_a_protocol_of_its_own(load: Load) -> None:
    settings = load(
        "policy: {min_samples: 50}\nprotocol: {seed: 1}\nmodels:\n"
        "  own: {split: {kind: npz, path: x}, policy: {gate_method: gradcam}, protocol: {sample_size: 9}}\n"
        "  general: {split: {kind: npz, path: x}}\n"
    )
    assert settings.policy_of("general") == Policy(min_samples=50)
    assert settings.protocol_of("general") == Protocol(seed=1)
    assert settings.policy_of("own") == Policy(gate_method="gradcam")
    assert settings.protocol_of("own") == Protocol(sample_size=9)


def test_an_unconfigured_model_is_answered_with_the_configured_ones(load: Load) -> None:
    settings = load(MODEL.format("class_names: [a, b]"))
    with pytest.raises(ConfigError, match=r"models\.cats: .*\(configured: digits\)"):
        settings.protocol_of("cats")


def test_preprocessing_defaults_are_imagenets(load: Load) -> None:
    preprocessing = load(MODEL.format("preprocessing: {}")).model("digits").preprocessing
    assert preprocessing == Preprocessing(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("", None),
        ("tracking_uri: http://me:hunter2@flow.example:5000/", "http://flow.example:5000"),
        ("tracking_uri: databricks", None),
        (
            "{tracking_uri: 'http://inside:5000', mlflow_url: 'https://outside.example/mlflow/'}",
            "https://outside.example/mlflow",
        ),
    ],
)
def test_where_browsers_find_mlflow(load: Load, text: str, address: str | None) -> None:
    assert load(text).mlflow_address == address


@pytest.mark.parametrize("field", ["mlflow_url", "prefect_url"])
@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)//hunter2",
        "https://me:hunter2@host",
        "https://host/?key=hunter2",
        "https://host/#hunter2",
        "https:///hunter2",
        "http://host:hunter2",
        "//host/hunter2",
        "'https://host/ hunter2'",
    ],
)
def test_a_link_must_be_openable_and_hold_no_secret(load: Load, field: str, url: str) -> None:
    message = error_of(load, f"{field}: {url}")
    assert field in message
    assert "http:// or https://" in message
    assert "hunter2" not in message


def test_pickles_are_allowed_unless_somebody_says_otherwise(load: Load) -> None:
    models = "models: {a: {split: {kind: npz, path: x}}, b: {pickles: allowed, split: {kind: npz, path: x}}}"
    assert load(models).pickles_of("a") == "allowed"
    settings = load(f"pickles: refused\n{models}")
    assert (settings.pickles_of("a"), settings.pickles_of("b")) == ("refused", "allowed")


@pytest.mark.parametrize("text", ["pickles: signed", MODEL.format("pickles: signed")])
def test_whoever_asks_for_signatures_says_whose(load: Load, tmp_path: Path, text: str) -> None:
    assert "signing_key: a file was expected because " in error_of(load, text)
    assert load(f"signing_key: key.pub\n{text}").signing_key == tmp_path / "key.pub"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "0: even\n1: odd\n",
            "fields (`name: value`) were expected, dict came; put names like 1, yes and no in quotes",
        ),
        ("no: animal\n", "dict came; put names like 1, yes and no in quotes"),
        ("tabby: 1\n", "the name of a class was expected at 'tabby', int came; put it in quotes"),
        ("- tabby\n", "fields (`name: value`) were expected, list came"),
        ("tabby: cat\ntabby: dog\n", "not YAML: line 2, column 1: a field comes twice"),
        (None, "create it, or write the class map into the configuration"),
    ],
)
def test_a_class_map_that_is_none_is_said_in_one_line(tmp_path: Path, text: str | None, problem: str) -> None:
    file = tmp_path / "classes.yaml"
    if text is not None:
        file.write_text(text)
    with pytest.raises(ConfigError, match=re.escape(problem)):
        read_class_map(file)


def test_a_class_map_is_read_from_where_the_configuration_lies(tmp_path: Path) -> None:
    (tmp_path / "case-monitor.yaml").write_text(
        "models: {pets: {split: {kind: npz, path: val.npz}, class_map: classes.yaml}}\n"
    )
    (tmp_path / "classes.yaml").write_text('"0": even\n"1": odd\n')
    settings = load_settings(tmp_path / "case-monitor.yaml").model("pets")
    assert read_class_map(settings.class_map) == {"0": "even", "1": "odd"}
    assert read_class_map({"tabby": "cat"}) == {"tabby": "cat"}
    assert read_class_map(None) is None
