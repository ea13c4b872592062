"""Fixtures that all tests share."""
import gc
import multiprocessing
import signal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.servers.mariadb import MariaDB
from tests.servers.web import Web
from tests.support.bench import Bench
from tests.support.databases import Pool
from tests.support.product import relay
from tests.support.shell import Shell

# Started in the background or by nohup, a test run ignores these, and so would every process that
# it starts.
for number, usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, usual)

# Modules and the thousands of tests that are collected are no garbage (as in jobs.py), and to look
# for some among them takes longer than to collect them.
gc.set_threshold(20_000)

# A busy machine is no fault of a test.
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")

ENGINES = ["sqlite", "mariadb"]
# Their tests start programs, up to a second each, or let days pass, as the simulation of the quick
# tier does. Of them, those marked `quick` are in the quick tier, and of the others those not marked
# `slow`.
LONG = ("apps/", "operator/", "runner/", "workers/", "guard/test_doubt", "guard/test_no_false_stop",
        "guard/test_relay")
TESTS = Path(__file__).resolve().parent


def pytest_collection_modifyitems(items):
    """The quick tier is `-m "not slow"`: SQLite alone, and few programs."""
    for item in items:
        on_mariadb = "mariadb" in item.fixturenames or "mariadb" in item.name
        if on_mariadb:
            item.add_marker("mariadb")
        is_long = str(item.path.relative_to(TESTS)).startswith(LONG)
        if on_mariadb or (is_long and not item.get_closest_marker("quick")):
            item.add_marker("slow")


@pytest.fixture(autouse=True)
def usual_numbers(monkeypatch):
    """What a test sets of these holds for it alone."""
    monkeypatch.setattr(relay, "URGENT_SHARE", relay.URGENT_SHARE)


def pytest_collection_finish():
    """What is there by now stays."""
    gc.freeze()


def pytest_terminal_summary(terminalreporter, config):
    """What was not tested, so that nobody takes a part for the whole; what this machine could not
    test, pytest lists by itself."""
    if config.option.markexpr == "not slow":
        terminalreporter.write_line("Left out: what is on MariaDB, of programs, or slow. "
                                    "`./install.sh test --all` runs it, too.")


@pytest.fixture(scope="session")
def mariadb():
    """A private MariaDB server for the whole session."""
    with MariaDB() as server:
        yield server


@pytest.fixture(scope="session")
def pool(tmp_path_factory):
    """Databases with our tables, used again and again."""
    return Pool(tmp_path_factory.mktemp("pool"))


@pytest.fixture
def sqlite_url(tmp_path, pool):
    """The URL of an SQLite file with our tables and no rows."""
    return pool.sqlite(tmp_path)


@pytest.fixture
def mariadb_url(mariadb, pool):
    """The same on MariaDB."""
    url = pool.mariadb(mariadb)
    yield url
    pool.give_back(mariadb, url)


@pytest.fixture(params=ENGINES)
def engine_url(request):
    """The URL of a database with our tables and no rows; each test runs once on each engine."""
    return request.getfixturevalue(f"{request.param}_url")


@pytest.fixture
def blank_mariadb_url(mariadb):
    """The same of one without any table, for tests that create them."""
    url = mariadb.database()
    yield url
    mariadb.drop(url)


@pytest.fixture(params=ENGINES)
def blank_url(request, tmp_path):
    """One of these on each engine."""
    return (f"sqlite:///{tmp_path}/jobs.db" if request.param == "sqlite" else
            request.getfixturevalue("blank_mariadb_url"))


@pytest.fixture
def bench(tmp_path, engine_url):
    """One installation with its rows, files and runs, on each engine: tests/support/bench.py."""
    made = Bench(tmp_path, engine_url)
    yield made
    made.db.close()


@pytest.fixture(scope="session")
def alone():
    """`alone(function, ...)` calls it in a process of its own, which has no threads and may so be
    forked."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        yield lambda function, *given, **how: pool.apply(function, given, how)


@pytest.fixture
def outside():
    """A web server on this machine: the service that is pinged, the hook that is alerted."""
    with Web() as web:
        yield web


@pytest.fixture
def line(tmp_path):
    """jobs.py as an operator calls it: tests/support/shell.py."""
    return Shell(tmp_path)
