"""The owner of a forward that finally failed is notified of what is true, where they can read it,
and once."""
from __future__ import annotations

import pytest

from tests.support.product import clock

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


def notice(bench, user_id: int = 1) -> dict:
    found, = (row for row in bench.rows("notifications") if row["user_id"] == user_id)
    return found


def told(bench, id: int) -> tuple:
    row = bench.db.row("SELECT notified_at, notice_id FROM {failed_emails} WHERE id = :id", id=id)
    return bool(row["notified_at"] or row["notice_id"]), row["notice_id"]


# When

def test_there_is_one_notice_an_owner_and_day(bench, failed):       # R22, R84
    bench.table("users", [{"id": 2, "email": "ann@account.example"}])
    failed(1), failed(2, envelope_to=WORK), failed(3, user_id=2)
    assert bench.run("retry_forwards")["notices"] == 2
    first = notice(bench, 1)
    assert first["subject"] == "We could not forward 2 messages"
    assert all(fact in first["body_text"] for fact in ("Order 1", "Order 2", HOME, WORK))
    failed(4)
    assert bench.run("retry_forwards")["notices"] == 0              # waits for tomorrow's
    assert (told(bench, 2), told(bench, 4)) == ((True, first["id"]), (False, None))
    bench.now = bench.ahead(days=1)
    assert bench.run("retry_forwards")["notices"] == 1
    assert told(bench, 4)[0]
    assert bench.rows("notifications")[-1]["subject"] == "We could not forward a message"


def test_of_very_many_fifty_are_shown_and_all_are_counted(bench, failed):       # R84
    bench.bulk("failed_emails", [{"user_id": 1, "status": "failed", "envelope_from": "a@b.example",
                                  "envelope_to": HOME}] * 1200)
    assert bench.run("retry_forwards")["notices"] == 1
    text = notice(bench)["body_text"]
    assert (text.count("From: "), "... and 1,150 more" in text) == (50, True)
    assert bench.ids("failed_emails", "notice_id IS NULL") == []


# Where

@pytest.mark.parametrize("address, others, reader", [
    ("jo@account.example", [WORK], "jo@account.example"),
    (HOME, [HOME, WORK], WORK),                 # mail to that one has just failed
    (HOME.upper(), [WORK], WORK),
    (HOME, [], HOME),                           # the only one
    ("", [], "")])                              # the app shows it
def test_a_failure_notice_is_always_written(bench, failed, address, others, reader):       # R84
    bench.db.execute("UPDATE {users} SET email = :email", email=address)
    bench.table("destinations", [
        {"user_id": 1, "email": "typo@work.example", "verified_at": None},
        *({"user_id": 1, "email": email, "verified_at": bench.ago(days=9)} for email in others)])
    failed(1)
    assert bench.run("retry_forwards")["notices"] == 1
    assert (notice(bench)["to_email"], notice(bench)["status"]) == (reader, "pending")


def test_an_owner_is_notified_when_the_notice_was_sent(bench, failed):    # R84
    failed(1)
    bench.run("retry_forwards")
    assert bench.rows("failed_emails")[0]["notified_at"] is None
    bench.now = bench.ahead(minutes=5)
    assert bench.run("send_notifications")["sent"] == 1
    assert bench.rows("failed_emails")[0]["notified_at"] == clock.text(bench.now)


def test_a_notice_that_was_refused_is_sent_to_another_address(bench, failed):      # R84
    bench.table("destinations", [{"user_id": 1, "email": WORK, "verified_at": bench.ago(days=9)}])
    failed(1)
    bench.run("retry_forwards")
    bench.db.execute("UPDATE {notifications} SET status = 'failed', finished_at = :now",
                     now=bench.now)
    bench.now = bench.ahead(minutes=5)
    assert bench.run("retry_forwards")["notices"] == 0
    assert (notice(bench)["status"], notice(bench)["to_email"]) == ("pending", WORK)


# What

@pytest.mark.parametrize("error, why", [
    ("the message has 40000000 octets, the relay takes at most 20000000",
     "too large for our mail server"),
    ("the sender cannot be rewritten: the address is empty", "sender's address is not valid"),
    ("it could not be sent: an error of ours (KeyError)", "problem is on our side"),
    ("the stored message cannot be read: Permission denied", "problem is on our side"),
    ("no answer", "The receiving mail server did not accept the message.")])
def test_what_we_refused_is_no_fault_of_the_other_server(bench, failed, error, why):      # R27
    failed(1, last_code=None, last_error=error)
    bench.run("retry_forwards")
    text = " ".join(notice(bench)["body_text"].split())
    assert why in text
    is_theirs = error == "no answer"
    assert ("receiving mail server" in text) == is_theirs
    assert ("Gave up: 24 November 2026 at 13:30 UTC" in text) == is_theirs


def test_no_mail_program_makes_a_link_of_a_strangers_words(bench, failed):      # R35
    url = "https://evil.example/x"
    failed(1, b"From: www.evil.example <a@b.example>\r\nSubject: see https://evil.example/x now"
              b"\r\n\r\nhello\r\n", last_error=f"5.7.1 see {url} or evil.example")
    bench.run("retry_forwards")
    for body in (notice(bench)["body_text"], notice(bench)["body_html"]):
        assert "://evil" not in body
        assert "evil.example" not in body
        assert body.count("https[:]//evil[.]example/x") == 2
        assert "a@b.example" in body


def test_a_message_is_kept_only_where_its_content_is(bench, failed):                    # R27
    failed(1)
    failed(2, None, last_code=None, last_error="the stored message is missing")
    bench.run("retry_forwards")
    first, second = notice(bench)["body_text"].split("Order 1")[1].split("From:")
    assert "Kept:        until 1 December 2026 at 13:30 UTC" in first
    assert "Kept:" not in second
    assert "We no longer have the content of this message." in second


def test_a_row_that_makes_no_sense_is_listed_as_far_as_it_does(bench, failed):            # R67
    odd: dict = {"envelope_to": b"\xff", "attempts": "x", "created_at": "soon", "raw_path": b"\xff"}
    if bench.db.dialect.name != "sqlite":
        bench.db.execute("ALTER TABLE {failed_emails} MODIFY envelope_to VARCHAR(254) NULL")
        odd = {"envelope_to": None}
    failed(1)
    failed(2, **odd)
    bench.table("users", [{"id": 2, "email": "ann@account.example"}])
    failed(3, user_id=2)
    assert bench.run("retry_forwards")["notices"] == 2
    assert all(told(bench, id)[0] for id in (1, 2, 3))
