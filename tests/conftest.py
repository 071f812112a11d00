"""What holds for every test: shared fixtures, markers by fixture, and skips that nobody can overlook."""

import os
from collections.abc import Generator

import pytest

pytest_plugins = ["tests.brokers.fixtures"]

FIXTURES_OF = {"kafka": {"kafka", "kafka_broker", "secured_kafka"}, "postgres": {"postgres", "database"}}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test by the real servers that its fixtures ask for."""
    for item in items:
        names = set(getattr(item, "fixturenames", ()))
        for marker, fixtures in FIXTURES_OF.items():
            if names & fixtures:
                item.add_marker(marker)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Where CI=true, a skipped test has failed, but for what needs a program that CI does not install."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and not item.get_closest_marker("openclaw"):
        _refuse_in_ci(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Where CI=true, a skipped module has failed."""
    report = yield
    if report.skipped:
        _refuse_in_ci(report)
    return report


def _refuse_in_ci(report: pytest.TestReport | pytest.CollectReport) -> None:
    if os.environ.get("CI") == "true":
        report.outcome = "failed"
        report.longrepr = f"skipped, which CI does not allow: {_reason(report)}"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say loudly, at the end, what was not tested and why."""
    counts: dict[str, int] = {}
    for report in terminalreporter.getreports("skipped"):
        reason = _reason(report)
        counts[reason] = counts.get(reason, 0) + 1
    for reason, count in sorted(counts.items()):
        terminalreporter.write_sep("!", f"NOT TESTED ({count})", red=True, bold=True)
        terminalreporter.write_line(reason, red=True)


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    text = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return text.removeprefix("Skipped: ")
