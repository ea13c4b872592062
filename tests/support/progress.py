"""For `./install.sh test`: a line for each tenth of the tests in place of dots, each failure as it
comes, and at the end how many the quick tier leaves out."""
from __future__ import annotations

import time

import pytest


def pytest_configure(config):
    """A worker of pytest-xdist only counts what it leaves out."""
    config.pluginmanager.register(LeftOut() if hasattr(config, "workerinput") else Progress(config))


class LeftOut:
    """Each worker collects all tests."""

    number = 0

    def pytest_deselected(self, items):
        self.number += len(items)

    def pytest_sessionfinish(self, session):
        if hasattr(session.config, "workeroutput"):
            session.config.workeroutput["left_out"] = self.number


class Progress(LeftOut):
    """What has ended, of how many."""

    def __init__(self, config) -> None:
        self.config = config
        self.began, self.ended, self.failed, self.tenths = time.monotonic(), 0, 0, 0

    def pytest_sessionstart(self, session):
        self.session = session
        self.write = self.config.pluginmanager.get_plugin("terminalreporter").write_line

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_report_teststatus(self, report):
        category, _, word = yield
        return category, "", word if report.failed else ""

    def pytest_runtest_logreport(self, report):
        if report.failed:
            self.failed += 1
            self.write(f"FAILED {report.nodeid} ({report.when})")
        self.ended += report.when == "teardown"
        of = max(self.session.testscollected, 1)
        if self.ended * 10 // of > self.tenths:
            self.tenths = self.ended * 10 // of
            self.write(f"{self.tenths * 10:3} %: {self.ended:,} of {of:,} tests, {self.failed} "
                       f"failed, {time.monotonic() - self.began:.0f} s")

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node):
        self.number = max(self.number, getattr(node, "workeroutput", {}).get("left_out", 0))

    def pytest_terminal_summary(self):
        if self.number:
            self.write(f"Left out of the quick tests: {self.number:,} on MariaDB, of programs, or "
                       "slow. `./install.sh test --all` runs them, too.")
