"""Installations for the tests of the frame: see tests/support/site.py."""
from __future__ import annotations

import pytest

from jobs_lib import jobs
from tests.conftest import ENGINES
from tests.support.site import ODD_JOBS, Databases, Site, Ticks


@pytest.fixture(scope="session")
def databases(tmp_path_factory):
    """Where migrated databases come from."""
    return Databases(tmp_path_factory.mktemp("databases"))


@pytest.fixture
def site(tmp_path, databases):
    """An installation on SQLite."""
    made = Site(tmp_path / "site", databases.sqlite(tmp_path))
    yield made
    made.close()


@pytest.fixture
def maria_site(tmp_path, databases, mariadb):
    """An installation on MariaDB."""
    made = Site(tmp_path / "site", databases.mariadb(mariadb))
    yield made
    made.close()


@pytest.fixture(params=ENGINES)
def any_site(request):
    """One on each engine."""
    return request.getfixturevalue("site" if request.param == "sqlite" else "maria_site")


@pytest.fixture
def ticks(site, monkeypatch):
    """`run-due` within this process, on SQLite, at times that are given."""
    monkeypatch.setattr(jobs, "__path__", [str(ODD_JOBS)])
    return Ticks(site)
