"""Where a missing package comes from: never from pip into the system's own Python."""
from __future__ import annotations

import sys

import pytest

from tests.support.product import way_to

pytestmark = pytest.mark.quick


def test_a_missing_package_is_got_in_the_way_that_is_there(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "prefix", sys.base_prefix)         # the system's own Python

    def way(name: str, extra: str | None) -> str:
        return way_to(name, extra, str(tmp_path)).replace(str(tmp_path), "HERE")

    anew = "`python3 -m venv .venv && .venv/bin/python -m pip install"
    assert way("PyMySQL", "mysql").startswith(f"run {anew} ")
    (tmp_path / "install.sh").touch()
    assert way("PyMySQL", "mysql") == "run `./install.sh --with mysql` in HERE"
    assert way("python-dotenv", "") == "run `./install.sh` in HERE"
    assert way("tzdata", None) == f"run {anew} tzdata` in HERE"      # install.sh does not know it
    # another Python has it
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / ".venv" / "bin" / "python").touch()
    assert way("PyMySQL", "mysql") == "`.venv/bin/python jobs.py` in HERE has it: use that Python"
    (tmp_path / ".venv" / "lib" / "python{}.{}".format(*sys.version_info)).mkdir(parents=True)
    assert "./install.sh --with mysql" in way("PyMySQL", "mysql")
    # an environment of a panel has its own pip
    monkeypatch.setattr(sys, "prefix", "/home/you/virtualenv/jobs/3.11")
    assert way("rq", "rq") == f"run `{sys.executable} -m pip install rq`"
