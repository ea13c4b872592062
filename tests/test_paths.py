"""Where a missing package comes from: never from pip into the system's own Python."""
from __future__ import annotations

import sys

import pytest

from tests.support.product import way_to


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A folder with install.sh; this Python is the system's own."""
    (tmp_path / "install.sh").touch()
    monkeypatch.setattr(sys, "prefix", sys.base_prefix)
    return tmp_path


def test_install_sh_gets_it(home):
    assert way_to("PyMySQL", "mysql", str(home)) == f"run `./install.sh --with mysql` in {home}"
    assert way_to("python-dotenv", "", str(home)) == f"run `./install.sh` in {home}"


def test_what_install_sh_does_not_know_goes_into_its_environment(home):
    command = "`python3 -m venv .venv && .venv/bin/python -m pip install tzdata`"
    assert way_to("tzdata", None, str(home)) == f"run {command} in {home}"
    (home / "install.sh").unlink()
    assert "-m venv .venv &&" in way_to("PyMySQL", "mysql", str(home))


def test_a_python_of_another_version_is_told_which_one_has_it(home):
    (home / ".venv" / "bin").mkdir(parents=True)
    (home / ".venv" / "bin" / "python").touch()
    advice = f"`.venv/bin/python jobs.py` in {home} has it: use that Python"
    assert way_to("PyMySQL", "mysql", str(home)) == advice
    (home / ".venv" / "lib" / "python{}.{}".format(*sys.version_info)).mkdir(parents=True)
    assert "./install.sh --with mysql" in way_to("PyMySQL", "mysql", str(home))


def test_an_environment_of_a_panel_has_its_own_pip(home, monkeypatch):
    monkeypatch.setattr(sys, "prefix", "/home/you/virtualenv/jobs/3.11")
    assert way_to("rq", "rq", str(home)) == f"run `{sys.executable} -m pip install rq`"
