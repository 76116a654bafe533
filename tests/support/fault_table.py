"""`--fault-seed`, `--fault-trials`, and the table of tests/faults at the end of a run."""

import json
import random

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--fault-seed", type=int, help="of what is struck, and when (default: drawn)")
    parser.addoption("--fault-trials", type=int, help="of each fault in the long form (default: as each fault says)")


@pytest.hookimpl(tryfirst=True)  # before processes that share the tests are given the options
def pytest_configure(config: pytest.Config) -> None:
    if config.option.fault_seed is None:
        config.option.fault_seed = random.randrange(10**6)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    found = [
        json.loads(str(value))
        for report in (*terminalreporter.getreports("passed"), *terminalreporter.getreports("failed"))
        if report.when == "call"
        for name, value in report.user_properties
        if name == "fault"
    ]
    if found:
        from tests.faults.trials import Row, table

        terminalreporter.section("promises under faults")
        for line in table(Row(**row) for row in found):
            terminalreporter.write_line(line)
