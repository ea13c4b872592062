"""A healthy installation, for each test to spoil: `found` asks `doctor --json` what it finds."""
from __future__ import annotations

import os
from datetime import timedelta

import pytest

from tests.servers.misbehaving import Relay
from tests.support.product import clock
from tests.support.shell import Shell

CRONTAB = "#!/bin/sh\n[ -e {0} ] && exec cat {0}\necho 'no crontab for me' >&2\nexit 1\n"
FINE = {"core": {"app_url": "https://mail.alias.example", "secret_key": "k" * 40},
        "mail": {"domain": "alias.example", "from": "notices@alias.example", "per_hour": "80"},
        "archive": {"store": "archive"},
        "alerts": {"email": "you@alias.example", "ping_url": "http://127.0.0.1:9999/ping"},
        "check_domains": {"enabled": "no"}}


class Patient(Shell):
    """An installation with a relay, a crontab of its own in `crontab`, and a cron that has just
    come."""

    def __init__(self, folder, url: str, relay_port: int) -> None:
        os.chmod(folder, 0o700)
        super().__init__(folder, url, **{**FINE, "mail": {**FINE["mail"], "port": relay_port}})
        (self.folder / "bin").mkdir()
        program = self.folder / "bin" / "crontab"
        program.write_text(CRONTAB.format(self.folder / "crontab"))
        program.chmod(0o755)
        self.ran(timedelta(minutes=3))

    def ini(self, text: str):
        path = super().ini(text)
        path.chmod(0o600)
        return path

    def environment(self) -> dict:
        found = super().environment()
        return {**found, "PATH": f"{self.folder}/bin:{found['PATH']}", "HOME": str(self.folder)}

    def found(self, *words: str) -> list[dict]:
        """What is not fine. The exit code is 1 if and only if there is a problem."""
        found = [each for each in self.json("doctor", *words, code=None) if each["level"] != "ok"]
        assert self.ended.code == any(each["level"] == "problem" for each in found), found
        return found

    def run(self, *words: str, code: int | None = 0, **how) -> str:
        self.ended = self(*words, **how)
        assert code in (None, self.ended.code), self.ended
        return self.ended.out

    def one(self, words: str) -> dict:
        """The only thing that is not fine, with these words somewhere in it."""
        only, = self.found()
        assert words in "\n".join(only.values()), only
        return only

    def ran(self, ago: timedelta, job: str = "retry_forwards", lived: int = 1, **values) -> None:
        """A run that cron started this long ago, and that gave its last sign of life so many
        seconds later."""
        started = clock.now() - ago
        with open(self.folder / "state" / "installation") as file:
            own = file.read().strip()
        self.db.insert("job_runs", **{
            "run_id": os.urandom(8).hex(), "job": job, "trigger_type": "scheduled", "status": "ok",
            "started_at": started, "finished_at": started, "installation": own, "host": "here",
            "heartbeat_at": started + timedelta(seconds=lived), "pid": int(ago.total_seconds()),
            **values})


@pytest.fixture
def relay():
    with Relay() as made:
        yield made


@pytest.fixture
def installed(tmp_path, engine_url, relay):
    """On each engine."""
    made = Patient(tmp_path, engine_url, relay.port)
    yield made
    made.close()


@pytest.fixture
def lite(tmp_path, pool, relay):
    """On SQLite alone, for what has nothing to do with the engine."""
    made = Patient(tmp_path, pool.sqlite(tmp_path), relay.port)
    yield made
    made.close()
