"""An option counts from --set, else from the environment, else from .env, else from config.ini, and
else by default: what a purge would delete says which."""
from __future__ import annotations

from datetime import datetime, timedelta, timezone

from tests.support.db import Client
from tests.support.shell import Shell

NAME = "JOBS_PURGE_SESSIONS_IDLE"


def test_each_place_wins_over_those_below_it(tmp_path, sqlite_url):       # R63
    service, db, now = Shell(tmp_path, sqlite_url), Client(sqlite_url), datetime.now(timezone.utc)
    db.insert_all("sessions", [
        {"user_id": 1, "token_hash": f"{age:064x}", "created_at": now - timedelta(days=80),
         "last_seen_at": now - timedelta(days=age, hours=1), "expires_at": now + timedelta(days=9)}
        for age in range(60)])
    db.close()

    def idle(*words: str, **environment: str) -> int:
        """From how many days on a session counts as idle."""
        done = service.json("purge_sessions", "--dry-run", *words, **environment)
        return 60 - done["counts"]["deleted"]

    assert idle() == 30
    service.configure("purge_sessions", idle="21d")
    assert idle() == 21
    (tmp_path / ".env").write_text(f"{NAME}=22d\n")
    (tmp_path / ".env").chmod(0o600)
    assert idle() == 22
    assert idle(**{NAME: "23d"}) == 23
    assert idle("--set", "idle=24d", **{NAME: "23d"}) == 24
    # an empty variable is a value, too: none of the places below it counts
    (tmp_path / ".env").unlink()
    shown = service("purge_sessions", "--dry-run", **{NAME: ""})
    assert shown.code == 78
    assert "idle" in shown.err


def test_one_set_counts_for_one_run_and_is_written_nowhere(tmp_path, sqlite_url):       # R63
    service = Shell(tmp_path, sqlite_url)
    before = (tmp_path / "config.ini").read_bytes()
    assert service.job("purge_sessions", "--set", "idle=1d")["status"] == "ok"
    assert (tmp_path / "config.ini").read_bytes() == before


def test_a_wrong_value_is_refused_from_each_place(tmp_path, sqlite_url):       # R63
    service = Shell(tmp_path, sqlite_url)
    assert service("purge_sessions", **{NAME: "soon"}).code == 78
    assert service("purge_sessions", "--set", "idle=soon").code == 78
    assert service("purge_sessions", "--set", "idel=2d").code == 2
    (tmp_path / ".env").write_text(f"{NAME}=soon\n")
    (tmp_path / ".env").chmod(0o600)
    assert service("purge_sessions").code == 78
    (tmp_path / ".env").unlink()
    service.configure("purge_sessions", idle="soon")
    assert service("purge_sessions").code == 78
    service.configure("purge_sessions", idle="21d", idel="2d")
    done = service("purge_sessions")
    assert done.code == 78
    assert "idel" in done.err
    assert "did you mean" in done.err
