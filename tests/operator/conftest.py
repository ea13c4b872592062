"""jobs.py in the test's own process, and an installation to use it on."""
from __future__ import annotations

import os

import pytest

from tests.support.product import main
from tests.support.shell import Ended, Shell


@pytest.fixture
def here(tmp_path, monkeypatch, capsys):
    """`here("list")`: jobs.py in this process, as a process of its own takes twenty times as long.
    Its configuration is config.ini in tmp_path, with the text `ini` if that is given."""
    config = tmp_path / "config.ini"
    if not config.exists():
        config.touch(0o600)
        config.write_text("[core]\ndatabase = sqlite:///jobs.db\n")
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("JOBS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("JOBS_CONFIG", str(config))

    def call(*words: str, ini: str | None = None, **environment: str) -> Ended:
        if ini is not None:
            config.write_text(ini, encoding="utf-8")
        capsys.readouterr()
        with monkeypatch.context() as given:
            for name, value in environment.items():
                given.setenv(name, value)
            try:
                code = main(list(words))
            except SystemExit as asked:
                code = asked.code
        return Ended(code, *capsys.readouterr())
    return call


@pytest.fixture
def service(tmp_path, sqlite_url):
    """An installation on SQLite: tests/support/shell.py."""
    made = Shell(tmp_path, sqlite_url)
    yield made
    made.close()
