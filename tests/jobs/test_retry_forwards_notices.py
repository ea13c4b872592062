"""The owner of a forward that finally failed is told what is true, where they can read it, and
once."""
from __future__ import annotations

import pytest

from tests.support.product import RETRY, Result

LETTER = b"From: Shop <orders@shop.example>\r\nSubject: Order %d\r\n\r\nThank you.\r\n"
HOME, WORK = "jo@home.example", "jo@work.example"


@pytest.fixture
def owner(bench):
    """User 1 with alias 1, an account address of its own, and no destination yet."""
    bench.table("users", [{"id": 1, "email": "jo@account.example", "name": "Jo"}])
    bench.table("aliases", [{"id": 1, "user_id": 1, "address": "box@alias.example"}])


@pytest.fixture
def failed(bench, owner):
    """Makes a forward that has finally failed: `failed(1, last_error="...")`."""
    def make(id: int, content: bytes | None = b"", **values) -> int:
        if content is not None:
            bench.spool(f"{id}.eml", content or LETTER % id)
        return bench.table("failed_emails", [{
            "id": id, "user_id": 1, "alias_id": 1, "envelope_from": "orders@shop.example",
            "envelope_to": HOME,
            "raw_path": f"{id}.eml", "status": "failed", "attempts": 1, "last_code": 550,
            "last_error": "5.1.1 no such user", "created_at": bench.ago(hours=3),
            "finished_at": bench.ago(hours=1),
            **values}])[0]
    return make


def notice(bench) -> dict:
    found, = bench.rows("notifications")
    return found


def told(bench, id: int) -> tuple:
    row = bench.db.row("SELECT told_at, notice_id FROM {failed_emails} WHERE id = :id", id=id)
    return row["told_at"] is not None, row["notice_id"]


# When

def test_a_notice_that_is_being_sent_takes_nothing_more_in(bench, failed):       # R22
    bench.table("users", [{"id": 2, "email": "ann@account.example"}])
    failed(1, user_id=2), failed(2)
    assert bench.run("retry_forwards")["notices"] == 2
    host = bench.second_host()

    # one is on its way, the other is next: its text is read when it begins
    def answer(envelope):
        if not bench.ids("failed_emails", "id > 2"):
            failed(3), failed(4, user_id=2)
            assert host.run("retry_forwards")["notices"] == 0
        return Result("sent", 250, "2.0.0", "taken")
    bench.outbox.answer = answer
    assert bench.run("send_notifications")["sent"] == 2
    texts = [mail.text for mail in bench.outbox]
    assert [("Order 3" in text, "Order 4" in text) for text in texts] == [(False, False),
                                                                          (False, True)]
    assert (told(bench, 3), told(bench, 4)[0]) == ((False, None), True)
    bench.now = bench.ahead(days=1)
    assert bench.run("retry_forwards")["notices"] == 1
    assert told(bench, 3)[0]


def test_a_notice_that_was_tried_keeps_its_bytes(bench, failed):                       # R26
    failed(1)
    bench.run("retry_forwards")
    bench.outbox.answer = lambda envelope: Result(RETRY, 451, "4.7.1", "later")
    assert bench.run("send_notifications")["retried"] == 1
    before = notice(bench)["body_text"]
    failed(2)
    assert bench.run("retry_forwards")["notices"] == 0
    assert notice(bench)["body_text"] == before
    assert told(bench, 2) == (False, None)


def test_what_waits_for_tomorrow_keeps_no_other_owner_waiting(bench, failed, monkeypatch):     # R66
    monkeypatch.setattr("jobs_lib.features.forwards.failure_notice.PAGE", 3)
    failed(1)
    bench.run("retry_forwards")
    bench.db.execute("UPDATE {notifications} SET status = 'sent'")
    for id in range(2, 9):
        failed(id)
    bench.table("users", [{"id": 2, "email": "ann@account.example"}])
    failed(9, user_id=2)
    assert bench.run("retry_forwards")["notices"] == 1
    assert [told(bench, id)[0] for id in (8, 9)] == [False, True]


# Where

@pytest.mark.parametrize("address", [HOME, HOME.upper()])
def test_an_address_that_failed_gets_no_notice_of_it(bench, failed, address):           # R36
    bench.db.execute("UPDATE {users} SET email = :email", email=address)
    bench.table("destinations", [{"user_id": 1, "email": HOME, "verified_at": bench.ago(days=9)},
                                 {"user_id": 1, "email": "typo@work.example", "verified_at": None},
                                 {"user_id": 1, "email": WORK, "verified_at": bench.ago(days=8)}])
    failed(1)
    assert bench.run("retry_forwards")["notices"] == 1
    assert notice(bench)["to_email"] == WORK


def test_an_owner_with_no_other_address_has_the_row_alone(bench, failed):               # R36
    bench.db.execute("UPDATE {users} SET email = :email", email=HOME)
    bench.table("destinations", [{"user_id": 1, "email": HOME, "verified_at": bench.ago(days=9)},
                                 {"user_id": 1, "email": WORK, "verified_at": bench.ago(days=9)}])
    failed(1), failed(2, envelope_to=WORK)                      # the other one fails, too
    assert bench.run("retry_forwards")["notices"] == 0
    assert bench.ids("notifications") == []
    assert told(bench, 1) == told(bench, 2) == (True, None)


# What

def test_what_we_refused_ourselves_is_no_fault_of_the_other_server(bench, failed):      # R27
    for id, (error, why) in enumerate((
            ("the message has 40000000 octets, the relay takes at most 20000000",
             "too large for our mail server"),
            ("the sender cannot be rewritten: the address is empty",
             "sender's address is not valid"),
            ("KeyError: 'x'", "problem is on our side"),
            ("the stored message cannot be read: Permission denied", "problem is on our side")), 1):
        failed(id, last_code=None, last_error=error, envelope_to=f"jo{id}@home.example")
        bench.run("retry_forwards")
        text = " ".join(bench.rows("notifications")[-1]["body_text"].split())
        assert why in text, text
        assert not any(words in text for words in ("receiving mail server", "Gave up:"))
    failed(9, last_code=None, last_error="no answer", attempts=2, envelope_to="jo9@home.example")
    bench.run("retry_forwards")
    text = bench.rows("notifications")[-1]["body_text"]
    assert "The receiving mail server did not accept the message." in text
    assert "Gave up:   24 November 2026 at 13:30 UTC (tried 3 times)" in text


def test_a_message_is_kept_only_where_its_content_is(bench, failed):                    # R27
    failed(1)
    failed(2, None, last_code=None, last_error="the stored message is missing")
    bench.run("retry_forwards")
    first, second = notice(bench)["body_text"].split("Order 1")[1].split("From:")
    assert "Kept:      until 1 December 2026 at 13:30 UTC" in first
    assert "Kept:" not in second
    assert "We no longer have the content of this message." in second


def test_a_row_that_makes_no_sense_is_told_as_far_as_it_does(bench, failed):            # R67
    odd: dict = {"envelope_to": b"\xff", "attempts": "x", "created_at": "soon", "raw_path": b"\xff"}
    if bench.db.dialect.name != "sqlite":
        bench.db.execute("ALTER TABLE {failed_emails} MODIFY envelope_to VARCHAR(254) NULL")
        odd = {"envelope_to": None}
    failed(1)
    failed(2, **odd)
    bench.table("users", [{"id": 2, "email": "ann@account.example"}])
    failed(3, user_id=2)
    assert bench.run("retry_forwards")["notices"] == 3
    assert all(told(bench, id)[0] for id in (1, 2, 3))
