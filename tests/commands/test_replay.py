"""`replay forward`: finished rows go back into the queue as new; what cannot be sent is refused,
one line each."""
from __future__ import annotations

import json
from datetime import timedelta

import pytest

from jobs_lib import clock
from tests.support.shell import Shell

AGO = clock.now() - timedelta(hours=1)
FAILED = {"status": "failed", "attempts": 4, "finished_at": AGO, "told_at": AGO, "notice_id": 7,
          "last_code": 550, "last_error": "5.1.1 no such user", "uncertain": 2,
          "last_attempt_at": AGO}
NEW = {"status": "pending", "attempts": 0, "finished_at": None, "told_at": None, "notice_id": None,
       "uncertain": 0, "claim_token": None, "claim_run": None, "lease_until": None}


@pytest.fixture
def service(tmp_path, engine_url):
    return Shell(tmp_path, engine_url, mail={"transport": "maildir"})


def row(service, id: int) -> dict:
    return service.db.row("SELECT * FROM {failed_emails} WHERE id = :id", id=id)


def replay(service, *ids, code: int = 0) -> tuple[list[str], list[str]]:
    """The lines on stdout and stderr."""
    process = service.start("replay", "forward", *map(str, ids))
    out, err = process.communicate(timeout=60)
    assert process.returncode == code, out + err
    return out.splitlines(), err.splitlines()


def test_a_failed_row_is_as_new_and_the_next_run_sends_it(service):
    [id] = service.forwards(1, **FAILED)
    out, err = replay(service, id)
    assert out == [f"forward {id}: back in the queue, due now",
                   "The next run of retry_forwards sends it."]
    assert err == []
    found = row(service, id)
    assert {name: found[name] for name in NEW} == NEW
    assert clock.now() - clock.parse(found["next_attempt_at"]) < timedelta(minutes=1)
    assert found["last_error"] == "5.1.1 no such user"      # until the next attempt says better
    assert service.job("retry_forwards")["counts"]["sent"] == 1


def test_a_sent_row_is_sent_again_while_its_file_is_there(service):
    kept, lost = service.forwards(2, status="sent", finished_at=AGO)
    (service.spool / row(service, lost)["raw_path"]).unlink()
    out, err = replay(service, kept, lost, code=1)
    assert out[0] == f"forward {kept}: back in the queue, due now"
    assert err == [(f"forward {lost}: refused, its raw message {row(service, lost)['raw_path']} is "
                   "missing from the spool")]
    assert service.statuses() == {"pending": 1, "sent": 1}


@pytest.mark.parametrize("status", ["pending", "sending"])
def test_what_is_in_the_queue_is_left_alone(service, status):
    later = clock.now() + timedelta(hours=5)
    [id] = service.forwards(1, status=status, attempts=2, next_attempt_at=later, claim_token="t",
                            claim_run="r")
    before = row(service, id)
    assert replay(service, id, code=1)[1] == [(f"forward {id}: refused, it is in the queue already "
                                              f"({status})")]
    assert row(service, id) == before


def test_what_is_of_a_status_of_the_apps_is_refused_as_what_it_is(service):
    [id] = service.forwards(1, status="by_app")
    assert replay(service, id, code=1)[1] == [
        f"forward {id}: refused, no run takes it, and none deletes it: this status is unknown"]


def test_a_missing_row_is_reported(service):
    huge = 10 ** 30
    assert replay(service, 99, huge, code=1)[1] == [
        f"forward {id}: refused, there is no such row (it may have been purged)"
        for id in (99, huge)]


@pytest.mark.parametrize("raw_path", ["../config.ini", "/etc/passwd", "link"])
def test_a_path_that_leaves_the_spool_is_refused(service, raw_path):
    [id] = service.forwards(1, **FAILED)
    (service.spool / "link").symlink_to("/etc/passwd")
    service.db.execute("UPDATE {failed_emails} SET raw_path = :raw_path", raw_path=raw_path)
    assert f"forward {id}: refused, raw_path" in replay(service, id, code=1)[1][0]
    assert service.statuses() == {"failed": 1}


def test_each_id_is_reported_once_and_the_good_ones_go_through(service):
    first, second = service.forwards(2, **FAILED)
    out, err = replay(service, second, 99, first, second, code=1)
    assert out[:2] == [f"forward {second}: back in the queue, due now",
                       f"forward {first}: back in the queue, due now"]
    assert len(err) == 1
    assert service.statuses() == {"pending": 2}


def test_the_json_says_what_was_refused_and_why(service):
    [id] = service.forwards(1, **FAILED)
    found = json.loads(service.run("replay", "forward", str(id), "99", "--json", code=1))
    assert clock.now() - clock.parse(found.pop("last_due_at")) < timedelta(minutes=1)
    assert found == {
        "more": False, "queue": "forwards", "replayed": [id],
        "refused": [{"id": 99, "reason": "there is no such row (it may have been purged)"}]}


def test_it_says_when_the_attempt_is_the_only_one_and_when_the_job_is_paused(service):
    [old] = service.forwards(1, **FAILED, created_at=clock.now() - timedelta(days=8))
    service.run("pause", "retry_forwards")
    out, _ = replay(service, old)
    assert out[2:] == [("Older than 7 days: 1. For it that attempt is the "
                       "only one."), out[3]]
    assert out[3].startswith("retry_forwards is paused since 20")
    assert out[3].endswith(" UTC: `jobs.py resume retry_forwards`.")


def test_what_the_next_run_would_cancel_is_refused(service):
    [gone] = service.forwards(1, **FAILED)
    service.db.execute("UPDATE {users} SET status = 'deleted'")
    living = service.owner(email="other@home.example")
    [sent] = service.forwards(1, **FAILED, **living)
    out, err = replay(service, gone, sent, code=1)
    assert out == [f"forward {sent}: back in the queue, due now",
                   "The next run of retry_forwards sends it."]
    assert err == [f"forward {gone}: refused, the account is deleted"]
    assert row(service, gone)["status"] == "failed"
