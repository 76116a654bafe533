"""Which tests run, and in which order: markers by what a test uses and by where it stands, `--db`, pure tests first."""

from pathlib import Path

import pytest

MARKERS = {
    "slow": "takes seconds: real networks, references, pictures, processes",
    "server": "needs PostgreSQL, MLflow over HTTP or Prefect",
    "browser": "needs a browser",
    "long": "faults by lot, and what takes long beside others like it (make test-long); left out unless -m asks for it",
}
_OF_FIXTURES = {
    "browser": "browser",
    "forked_cli": "slow",
    "mlflow_server": "server",
    "mlflow_tables": "slow",
    "postgres_server": "server",
    "prefect_server": "server",
}
# The first that the name of a test begins with counts.
_OF_PLACES = {
    "README.md": "server",
    "case_monitor/evidence/": "slow",
    "docs/": "server",
    "tests/benchmarks/": "slow",
    "tests/cli/test_alert_commands.py::test_listing_waits": "slow",
    "tests/cli/test_claim_commands.py": "slow",
    "tests/cli/test_light_commands.py": "slow",
    "tests/cli/test_standard_output.py": "slow",
    "tests/cli/test_supervision.py": "slow",
    "tests/corpus/": "slow",
    "tests/dashboard/api/test_api.py": "slow",
    "tests/dashboard/api/test_api_alerts.py": "slow",
    "tests/dashboard/api/test_api_by_schema.py": "slow",
    "tests/dashboard/pages/test_alerts.py": "slow",
    "tests/dashboard/pages/test_classes.py": "slow",
    "tests/dashboard/pages/test_compare.py": "slow",
    "tests/dashboard/pages/test_compare_layers.py": "slow",
    "tests/dashboard/pages/test_confusion.py": "slow",
    "tests/dashboard/pages/test_evaluation.py": "slow",
    "tests/dashboard/pages/test_gallery.py": "slow",
    "tests/dashboard/pages/test_model.py": "slow",
    "tests/dashboard/pages/test_seeds.py": "slow",
    "tests/dashboard/test_one_row.py": "slow",
    "tests/dataset/test_fetched.py": "slow",
    "tests/dataset/test_huggingface.py": "slow",
    "tests/dataset/test_load.py::TestBatches::test_two_workers": "slow",
    "tests/dataset/test_load.py::TestImageFolder::test_a_corrupt_file_is_named_in_one_line[1]": "slow",
    "tests/dataset/test_read_transform.py": "slow",
    "tests/docker/test_grafana.py": "slow",
    "tests/docker/test_supervisor.py": "slow",
    "tests/doctor/": "slow",
    "tests/documents/test_supply_chain.py::test_two_builds": "slow",
    "tests/evidence/": "slow",
    "tests/faults/": "server",
    "tests/integration/browser/": "browser",
    "tests/integration/": "server",
    "tests/isolation/confine/test_attacks.py": "slow",
    "tests/isolation/confine/test_computing.py": "slow",
    "tests/isolation/test_confined_model.py": "slow",
    "tests/isolation/test_evaluation.py": "slow",
    "tests/isolation/test_frames.py::test_any_list_of_arrays": "slow",
    "tests/isolation/test_hostile_models.py": "slow",
    "tests/isolation/test_scratch.py::test_it_is_gone": "slow",
    "tests/isolation/test_servers.py": "slow",
    "tests/judging/test_layer_advice.py": "slow",
    "tests/judging/test_layers.py": "slow",
    "tests/judging/test_many_classes.py::test_a_healthy": "slow",
    "tests/judging/test_rules.py::test_a_figure_exactly_at_its_limit": "slow",
    "tests/judging/test_statistics.py::test_holm_equals_statsmodels": "slow",
    "tests/judging/test_statistics.py::test_intervals_over_classes": "slow",
    "tests/judging/test_statistics.py::test_newcombe_covers": "slow",
    "tests/judging/test_statistics.py::test_the_bootstrap_interval_covers": "slow",
    "tests/measuring_process/": "slow",
    "tests/networks/": "slow",
    "tests/registry/artifacts/test_exported.py": "slow",
    "tests/registry/artifacts/test_files.py::test_what_mlflow_logs": "slow",
    "tests/registry/artifacts/test_signed.py": "slow",
    "tests/registry/test_answers.py": "slow",
    "tests/registry/test_client.py": "slow",
    "tests/registry/test_transformers.py": "slow",
    "tests/saliency/test_parity": "slow",
    "tests/saliency/test_robustness.py::test_wrapped": "slow",
    "tests/saliency/test_taps.py::test_an_exported": "slow",
    "tests/saliency/test_taps.py::test_the_automatic_layer": "slow",
    "tests/saliency/test_token_evidence.py": "slow",
    "tests/saliency/test_tokens.py::test_an_exported": "slow",
    "tests/saliency/test_ways_to_run.py::test_300_calls": "slow",
    "tests/service/test_access.py": "slow",
    "tests/service/test_error_pages.py": "slow",
    "tests/service/test_operations.py::test_the_service_starts": "slow",
    "tests/service/test_request_deadline.py": "slow",
    "tests/service/test_soak.py": "slow",
    "tests/service/test_webhook.py": "server",
    "tests/settings/test_server_urls.py::test_no_command": "slow",
    "tests/steps/": "slow",
    "tests/store/test_alerts.py::test_processes": "slow",
    "tests/store/test_claims.py::test_a_claim_is": "slow",
    "tests/store/test_claims.py::test_a_process": "slow",
    "tests/store/test_concurrency.py": "slow",
    "tests/store/test_migrations.py": "slow",
    "tests/store/test_upgrades.py": "slow",
    "tests/store/test_write.py": "slow",
    "tests/support/test_generated_store.py": "slow",
    "tests/zoo/": "slow",
}
# What takes longest where others ask nearly the same; the whole of `make test` has to fit between two commits.
_ONLY_BEFORE_A_RELEASE = (
    "tests/dataset/test_huggingface.py::test_two_workers_read_the_same",
    "tests/integration/browser/test_demo_pages.py::test_every_link_works",
    "tests/integration/browser/test_generated_pages.py::test_each_kind_of_page_of_a_hostile_model[360-dark]",
    "tests/integration/test_ray.py::test_a_killed_worker_changes_nothing",
    "tests/integration/test_servers.py::test_a_deployment_run_by_a_worker",
    "tests/integration/test_trigger.py::test_versions_registered_at_once",
    "tests/integration/test_trigger.py::test_without_the_webhook_the_sweep",
    "tests/integration/test_study.py::test_what_fails_stops_no_other",
    "tests/registry/artifacts/test_exported.py::test_networks_of_torchvision_may_be_loaded[swin_t",
    "tests/registry/test_answers.py::test_a_real_server_behind_a_server_that_leaves_aliases_out",
    "tests/saliency/test_parity_architectures.py::test_perturbation_methods_equal_theirs_behind_a_relu[ablationcam-densenet201",
    "tests/saliency/test_parity_architectures.py::test_perturbation_methods_equal_theirs_behind_a_relu[scorecam-densenet201",
    "tests/service/test_soak.py::test_nothing_is_held_from_round_to_round[postgresql",
    "tests/steps/test_own_eyes.py::test_how_two_versions_were_logged_changes_no_difference",
)
_ONCE_ON_POSTGRES = "tests/dashboard/"
"""Whose tests ask the same of each database: the first of each kind on PostgreSQL, all on SQLite."""
_FIRST = ("case_monitor/", "tests/domain/", "tests/judging/", "tests/alerts/", "tests/settings/", "tests/dataset/")


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--db sqlite` leaves out what needs PostgreSQL."""
    parser.addoption("--db", choices=["sqlite", "both"], default="both", help="results databases (default: both)")


def pytest_configure(config: pytest.Config) -> None:
    """With --strict-markers, what is not registered is an error."""
    for name, meaning in MARKERS.items():
        config.addinivalue_line("markers", f"{name}: {meaning}")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Not even imported: what `-m "not (slow or ...)"` leaves out as a whole, and modules without an example."""
    place = collection_path.relative_to(config.rootpath).as_posix() + "/" * collection_path.is_dir()
    if place.endswith(".py") and not collection_path.name.startswith("test_") and not _has_example(collection_path):
        return True
    expression, marker = config.getoption("markexpr"), _marker_of_place(place)
    return True if marker and expression.startswith("not (") and marker in expression else None


@pytest.hookimpl(tryfirst=True)  # before -m looks at the markers
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark, leave out, sort."""
    kinds: set[str] = set()
    for item in items:
        for marker in _markers(item):
            item.add_marker(marker)
        if item.nodeid.startswith(_ONLY_BEFORE_A_RELEASE) or _is_again_on_postgres(item, kinds):
            item.add_marker("long")
    if "long" not in config.getoption("markexpr"):
        left_out = [item for item in items if item.get_closest_marker("long")]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if not item.get_closest_marker("long")]
    if config.getoption("db") == "sqlite":
        left_out = [item for item in items if _needs_postgres(item)]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if not _needs_postgres(item)]
    items.sort(key=_turn)


def _is_again_on_postgres(item: pytest.Item, kinds: set[str]) -> bool:
    if not item.nodeid.startswith(_ONCE_ON_POSTGRES) or not _needs_postgres(item):
        return False
    kind = item.nodeid.partition("[")[0]
    if kind in kinds:
        return True
    kinds.add(kind)
    return False


def _has_example(module: Path) -> bool:
    return ">>>" in module.read_text(encoding="utf-8")


def is_pure(file: str) -> bool:
    """Whether a file as a whole is neither slow nor needs a server or a browser."""
    return _marker_of_place(file) is None


def _markers(item: pytest.Item) -> set[str]:
    of_place = _marker_of_place(item.nodeid)
    of_fixtures = {_OF_FIXTURES[name] for name in _fixtures(item) if name in _OF_FIXTURES}
    return of_fixtures | ({of_place} if of_place else set()) | ({"server"} if _needs_postgres(item) else set())


def _marker_of_place(name: str) -> str | None:
    return next((marker for place, marker in _OF_PLACES.items() if name.startswith(place)), None)


def _needs_postgres(item: pytest.Item) -> bool:
    parameters = item.callspec.params if hasattr(item, "callspec") else {}
    return parameters.get("database_url") == "postgresql" or "postgres_server" in _fixtures(item)


def _fixtures(item: pytest.Item) -> list[str]:
    return getattr(item, "fixturenames", [])


def _turn(item: pytest.Item) -> tuple[int, bool, int]:
    """Pure tests, then those that take long, then servers, browsers and documents; files stay together."""
    file = item.nodeid.partition("::")[0]
    place = next((i for i, first in enumerate(_FIRST) if file.startswith(first)), len(_FIRST))
    return [None, *MARKERS].index(_marker_of_place(file)), file.endswith(".md"), place
