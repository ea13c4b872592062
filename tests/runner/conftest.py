"""Installations for the tests of the frame: see tests/support/shell.py."""
import pytest

from tests.conftest import ENGINES
from tests.support.product import jobs
from tests.support.shell import ODD_JOBS, Shell
from tests.support.ticks import Ticks


@pytest.fixture
def site(tmp_path, sqlite_url):
    """An installation on SQLite."""
    made = Shell.with_odd_jobs(tmp_path / "site", sqlite_url)
    yield made
    made.close()


@pytest.fixture
def maria_site(tmp_path, mariadb_url):
    """An installation on MariaDB."""
    made = Shell.with_odd_jobs(tmp_path / "site", mariadb_url)
    yield made
    made.close()


@pytest.fixture
def hosts(tmp_path, mariadb_url):
    """Two installations on one MariaDB."""
    made = [Shell.with_odd_jobs(tmp_path / name, mariadb_url) for name in ("one", "two")]
    yield made
    for host in made:
        host.close()


@pytest.fixture(params=ENGINES)
def any_site(request):
    """One on each engine."""
    return request.getfixturevalue("site" if request.param == "sqlite" else "maria_site")


@pytest.fixture
def ticks(site, monkeypatch):
    """`run-due` within this process, on SQLite, at times that are given."""
    monkeypatch.setattr(jobs, "__path__", [str(ODD_JOBS)])
    monkeypatch.setattr(jobs, "ALL", ())
    return Ticks(site)
