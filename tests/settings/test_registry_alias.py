"""The alias in the configuration, beside what MLflow itself takes."""

import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlflow.exceptions import MlflowException
from mlflow.utils.validation import _validate_model_alias_name, _validate_model_alias_name_reserved
from pydantic import TypeAdapter, ValidationError

from case_monitor.domain.errors import ConfigError
from case_monitor.settings import load_settings
from case_monitor.settings.registry_alias import RegistryAlias
from tests.support.commands import run_cli

ALIAS: TypeAdapter[str] = TypeAdapter(RegistryAlias)
# Letters of all kinds, and what is near a rule's edge.
LIKELY = st.text(string.ascii_letters + string.digits + "_-!. @/\n\u0663\u00fc\u017f", max_size=8)
NEAR = st.builds(str.__add__, st.sampled_from(["latest", "LaTest", "v1", "V12", "v\u0663", "x" * 254]), LIKELY)


def is_taken(alias: str) -> bool:
    try:
        ALIAS.validate_python(alias)
    except ValidationError:
        return False
    return True


def is_taken_by_mlflow(alias: str) -> bool:
    try:
        _validate_model_alias_name(alias)
        _validate_model_alias_name_reserved(alias)
    except MlflowException:
        return False
    return True


@given(LIKELY | NEAR | st.text())
def test_what_mlflow_takes_and_nothing_else(alias: str) -> None:
    # MLflow's `$` lets a line break at the end through, which nobody could type at a command.
    assert is_taken(alias) == (is_taken_by_mlflow(alias) and not alias.endswith("\n"))


@pytest.mark.parametrize(
    ("alias", "taken"),
    [
        ("champion", True),
        ("pre-prod_2", True),
        ("v1beta", True),
        ("latest2", True),
        ("x" * 255, True),
        ("", False),
        ("latest", False),
        ("Latest", False),
        ("v1", False),
        ("V20", False),
        ("Champion!", False),
        ("a b", False),
        ("x" * 256, False),
    ],
)
def test_aliases_at_the_edges(alias: str, taken: bool) -> None:
    assert is_taken(alias) is is_taken_by_mlflow(alias) is taken


def test_the_error_names_field_rule_and_value(tmp_path: Path) -> None:
    config = tmp_path / "case-monitor.yaml"
    config.write_text("alias: Champion!\nmodels: {digits: {split: {kind: npz, path: x.npz}}}\n")
    with pytest.raises(ConfigError) as refused:
        load_settings(config)
    assert str(refused.value) == (
        "case-monitor.yaml: alias: letters, digits, _ and -, at most 255 of them, and neither latest nor a version "
        "such as v1, which MLflow reserves, were expected, 'Champion!' came"
    )


def test_the_gate_refuses_before_it_evaluates(tmp_path: Path) -> None:
    (tmp_path / "case-monitor.yaml").write_text("alias: latest\nmodels: {digits: {split: {kind: npz, path: x.npz}}}\n")
    ran = run_cli("gate", "digits/1", cwd=tmp_path)
    assert ran.code == 2
    assert "alias: letters, digits" in ran.err
    assert "'latest' came" in ran.err
    assert not (tmp_path / "case-monitor.db").exists()
