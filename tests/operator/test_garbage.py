"""Values that make no sense, in any column that is looked at, are shown as unknown: no command ends
in a traceback."""
from __future__ import annotations

import json
from contextlib import suppress

import pytest

from tests.support import product
from tests.support.product import NO_DEFAULT, DatabaseError, clock, table

GARBAGE = {
    "text": "no such thing", "empty": "", "bytes": b"\xff\xfe\x00", "minus": -1, "huge": 2 ** 62,
    "part": 1.5,
    "year_1": "0001-01-01 00:00:00", "year_9999": "9999-12-31 23:59:59",
    "no_month": "2026-13-45 25:61:61",
    "broken_json": '{"sent": ', "list": "[1, 2]", "deep": '{"sent": {"a": [1]}, "done": null, '
    '"total": "x"}',
    "nothing": None,
}
OURS = ("job_runs", "job_state", "relay_state", "attempts", "alerts")
APPS = ("failed_emails", "notifications", "webhook_deliveries", "export_requests", "domains",
        "users", "webhooks")
COMMANDS = (["status"], ["status", "--json"], ["list"], ["list", "--json"], ["history"],
            ["history", "--json"], ["report"], ["report", "--private"], ["metrics"], ["check_jobs"],
            ["run-due", "--json"], *(["queue", name, *words] for name in (
                "forwards", "notifications", "webhooks", "exports", "domains", "deletions")
                for words in ((), ("--failed",), ("--owner", "1"))))
JOBS = ("retry_forwards", "purge_sessions", "send_notifications", "export_accounts",
        "delete_accounts")


@pytest.fixture
def installation(bench, monkeypatch):
    """One whose clock is the bench's, with a run of each kind and something in each queue."""
    bench.config(alerts={"disk_free": "off"}, check_domains={"enabled": "no"})
    monkeypatch.setenv("JOBS_CONFIG", str(bench.folder / "config.ini"))
    monkeypatch.setattr(clock, "now", lambda: bench.now)
    for number, job in enumerate(JOBS):
        bench.table("job_runs", [_sound(bench, "job_runs", number, job=job)])
        bench.db.upsert("job_state", {"job": job}, {"due_after": bench.ago(days=3)})
    return bench


def _sound(bench, name: str, number: int, **values) -> dict:
    """A row as it should be."""
    at, job = bench.ago(minutes=number + 1), JOBS[number % len(JOBS)]
    waits = {"status": "pending", "created_at": at, "next_attempt_at": at}
    return {**{
        "job_runs": {"job": job, "run_id": f"run-{number}", "status": "ok", "started_at": at,
                     "finished_at": at, "duration_ms": 5, "counts": '{"sent": 1}'},
        "job_state": {"job": job, "due_after": bench.ago(days=2)},
        "relay_state": {"id": 1, "paused_until": bench.ahead(minutes=30), "reason": "no answer"},
        "attempts": {"kind": "forward", "item_id": number, "began_at": at, "outcome": "sent"},
        "alerts": {"alert_key": f"channel:{number}", "kind": "channel", "since": at,
                   "subject": "it", "what": "so", "first_seen_at": at},
        "failed_emails": waits, "notifications": waits, "webhook_deliveries": waits,
        "export_requests": {"status": "queued", "requested_at": at}}.get(name, {}), **values}


def _spoil(bench, name: str, value) -> None:
    """Rows of which one column each has this value, as far as the database takes it."""
    for number, column in enumerate(table(name).columns):
        if column.name == "id" or (value is None and not column.null
                                   and column.default is NO_DEFAULT):
            continue
        with suppress(DatabaseError, OverflowError, ValueError, TypeError):
            row = {**bench._filling(name), **_sound(bench, name, number), column.name: value}
            keys = [each for each in table(name).key if each != "id" or name == "relay_state"]
            if keys:
                bench.db.upsert(name, {key: row.pop(key) for key in keys}, row)
            else:
                bench.db.insert(name, **row)


@pytest.mark.parametrize("kind", GARBAGE)
def test_no_value_in_any_column_stops_who_looks(installation, capfd, kind):     # R67 R69 R77
    installation.table("users", [{"id": 1}])
    for name in (*OURS, *APPS):
        _spoil(installation, name, GARBAGE[kind])
    def said(words: list) -> str:
        code = product.main(words)
        out, err = capfd.readouterr()
        assert (code in (0, 1), "Traceback" in err) == (True, False), (words, code, err)
        # what a job does with a row is its own
        assert words[0] == "run-due" or "Error:" not in err, (words, err)
        return out

    for words in COMMANDS:
        out = said(words)
        if "--json" in words:
            json.loads(out)
    # in `history`, too; MariaDB takes no text for a time
    if installation.url.startswith("sqlite") and kind in ("text", "broken_json"):
        installation.db.execute("UPDATE {job_runs} SET started_at = 'yesterday', counts = '{' "
                                "WHERE job = 'purge_sessions'")
        assert "unknown" in said(["history", "purge_sessions"])
    # a pause of the relay that is no time is none
    installation.db.execute("DELETE FROM {notifications}")
    assert installation.run("send_notifications") == installation.result["counts"]
