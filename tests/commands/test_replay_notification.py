"""`replay notification`: what failed goes back into the queue as new; what has no text any more is
refused."""
from __future__ import annotations

from datetime import timedelta

import pytest

from jobs_lib import clock
from tests.support.shell import Shell


@pytest.fixture
def service(tmp_path, engine_url):
    return Shell(tmp_path, engine_url, mail={"transport": "maildir", "maildir": "maildir"})


def notice(service, **values) -> int:
    given = {"kind": "overflow_warning", "to_email": "jo@home.example", "subject": "Held",
             "body_text": "x\n", "created_at": clock.now() - timedelta(hours=2), "status": "failed",
             "attempts": 7, "finished_at": clock.now() - timedelta(hours=1),
             "last_error": "5.2.2 full"}
    return service.db.insert("notifications", **{**given, **values})


def replay(service, *ids, code: int = 0) -> tuple[list[str], list[str]]:
    process = service.start("replay", "notification", *map(str, ids))
    out, err = process.communicate(timeout=60)
    assert process.returncode == code, out + err
    return out.splitlines(), err.splitlines()


def test_a_failed_one_is_as_new_and_the_next_run_sends_it(service):
    id = notice(service)
    assert replay(service, id) == ([f"notification {id}: back in the queue, due now",
                                    "The next run of send_notifications sends it."], [])
    assert service.db.row("SELECT status, attempts, finished_at FROM {notifications}") == {
        "status": "pending", "attempts": 0, "finished_at": None}
    assert service.job("send_notifications")["counts"]["sent"] == 1


def test_what_cannot_be_sent_is_refused_and_the_others_go_back(service):
    sent = notice(service, status="sent", body_text=None)
    cancelled = notice(service, body_text=None)
    waiting = notice(service, status="pending")
    old = notice(service, created_at=clock.now() - timedelta(days=8))
    out, err = replay(service, sent, cancelled, waiting, old, 999, code=1)
    assert err == [f"notification {sent}: refused, it was sent, and its text was deleted then",
                   (f"notification {cancelled}: refused, it was cancelled, and its text was "
                   "deleted then"),
                   f"notification {waiting}: refused, it is in the queue already (pending)",
                   "notification 999: refused, there is no such row (it may have been purged)"]
    assert out == [f"notification {old}: back in the queue, due now",
                   "The next run of send_notifications sends it.",
                   ("Older than 7 days: 1. For it that attempt is the "
                   "only one.")]
