"""Forwards are retried on schedule and end as `sent` or `failed`; owners are told the latter."""
from __future__ import annotations

import re
from pathlib import Path

import pytest

import jobs_lib
from tests.support.product import FINAL, LOST, RELAY, RETRY, SENT, UNREADABLE, Result, clock

SECRET = "s3cret" * 6
TAKEN = Result(SENT, 250, "2.0.0", "taken")
BUSY = Result(RETRY, 451, "4.3.0", "try again later")
UNKNOWN = Result(FINAL, 550, "5.1.1", "no such user")
AWAY = Result(RELAY, 554, "", "connection refused")
CLOSED = Result(LOST, None, "", "the server closed the connection")
HOME, WORK = "jo@home.example", "jo@work.example"
NONE = {"sent": 0, "retried": 0, "failed": 0}
LETTER = (b"From: Shop <orders@shop.example>\r\nTo: box@alias.example\r\nMessage-ID: "
          b"<%d@shop.example>\r\nSubject: Order %d\r\n\r\nThank you.\r\n")


@pytest.fixture
def owner(bench):
    """User 1 with alias 1 and destination 1."""
    bench.table("users", [{"id": 1, "email": "jo@account.example", "name": "Jo"}])
    bench.table("aliases", [{"id": 1, "user_id": 1, "address": "box@alias.example"}])
    bench.table("destinations", [{"id": 1, "user_id": 1, "email": "jo@home.example"}])


@pytest.fixture
def forward(bench, owner):
    """Makes a failed forward that is due now: `forward(1, attempts=2)`."""
    def make(id: int, content: bytes = b"", **values) -> int:
        bench.spool(f"{id}.eml", content or LETTER % (id, id))
        return bench.table("failed_emails", [{
            "id": id, "user_id": 1, "alias_id": 1, "destination_id": 1,
            "envelope_from": "orders@shop.example",
            "envelope_to": "jo@home.example", "raw_path": f"{id}.eml",
            "created_at": bench.ago(hours=1), **values}])[0]
    return make


def row(bench, id: int) -> dict:
    return bench.db.row("SELECT * FROM {failed_emails} WHERE id = :id", id=id)


def answers(bench, *results: Result) -> None:
    """The relay's answers, one after the other; then it takes everything."""
    left = list(results)
    bench.outbox.answer = lambda envelope: left.pop(0) if left else TAKEN


def always(bench, result: Result) -> None:
    bench.outbox.answer = lambda envelope: result


def to_first(bench, outcome) -> None:
    """What becomes of row 1: a Result, or an exception. The others are sent."""
    def answer(envelope) -> Result:
        if row(bench, 1)["status"] != "sending":
            return TAKEN
        if isinstance(outcome, Exception):
            raise outcome
        return outcome
    bench.outbox.answer = answer


def paused_until(bench) -> str:
    return bench.db.value("SELECT paused_until FROM {relay_state} WHERE id = 1")


def test_an_attempt_past_the_seventh_day_is_the_last(bench, forward):
    forward(1, created_at=bench.ago(days=7)), forward(2, created_at=bench.ago(days=6, hours=23))
    always(bench, BUSY)
    bench.run("retry_forwards")
    assert bench.column("failed_emails") == ["failed", "pending"]


@pytest.mark.parametrize("result, stored, later", [
    (TAKEN, ("sent", 1, 250, None, None), {"days": 9}),             # and never again
    (BUSY, ("pending", 1, 451, "4.3.0 try again later", "2026-11-24 20:30:05"), {"days": -1})])
def test_an_answer_is_stored_and_no_attempt_comes_early(bench, forward, result, stored, later):
    # R12 R24 R27: nor by a clock that is set back
    forward(1)
    always(bench, result)
    assert bench.run("retry_forwards")["sent"] == (result == TAKEN)
    kept = row(bench, 1)
    assert tuple(kept[name] for name in ("status", "attempts", "last_code", "last_error",
                                         "next_attempt_at")) == stored
    assert bool(kept["finished_at"]) == (result == TAKEN)
    bench.now = bench.ahead(**later)
    bench.run("retry_forwards")
    assert row(bench, 1) == kept


# A failure of the relay costs nobody an attempt

def test_a_relay_that_cannot_be_used_pauses_and_costs_no_attempt(bench, forward):
    forward(1), forward(2)
    bench.db.execute("UPDATE {failed_emails} SET next_attempt_at = :now", now=bench.now)
    before = bench.rows("failed_emails")
    always(bench, AWAY)
    error = bench.fails("retry_forwards")
    for part in ("connection refused", "No message has lost an attempt", "jobs.py mail test"):
        assert (part in error, "UTC" in error) == (True, False)     # a pause may be ended
    assert bench.rows("failed_emails") == before
    bench.now = bench.ahead(minutes=4)
    assert bench.attempt("retry_forwards")["status"] == "partial"
    assert re.match("the relay is paused until .*; `jobs.py mail test", bench.result["stop_reason"])
    bench.now, bench.outbox.answer = bench.ahead(minutes=1), None
    assert bench.run("retry_forwards")["sent"] == 2


def test_pauses_grow_from_5_minutes_to_an_hour_and_start_again_after_a_success(bench, forward):
    forward(1, created_at=bench.ago(hours=2))
    for pause in (5, 10, 20, 40, 60, 60, None, 5):
        bench.outbox.answer = (lambda _: AWAY) if pause else None
        if not pause:
            assert bench.run("retry_forwards")["sent"] == 1
            forward(2)
            continue
        bench.fails("retry_forwards")
        assert paused_until(bench) == clock.text(bench.ahead(minutes=pause))
        bench.now = bench.ahead(minutes=pause)
    forward(3)
    answers(bench, TAKEN, AWAY)                                 # in one run
    for days in (0, 1):                     # and a day later, when nothing was sent since
        bench.now = bench.ahead(days=days)
        bench.fails("retry_forwards")
        assert paused_until(bench) == clock.text(bench.ahead(minutes=5))
        always(bench, AWAY)


def test_a_pause_written_by_a_clock_that_was_wrong_does_not_hold(bench, forward):     # R24
    forward(1)
    bench.db.upsert("relay_state", {"id": 1}, {"paused_until": bench.ahead(days=10)})
    assert bench.run("retry_forwards")["sent"] == 1


def test_the_relays_own_limit_pauses_it_and_is_no_failure(bench, forward):     # R27
    forward(1)
    always(bench, Result("at MAIL", 550, "", "Domain alias.example has exceeded the max emails per "
                         "hour (100/100)"))
    assert bench.attempt("retry_forwards")["status"] == "partial"
    assert row(bench, 1)["attempts"] == 0
    assert paused_until(bench) == clock.text(bench.ahead(minutes=5))


@pytest.mark.parametrize("words", ["exceeded the max emails per hour", "relay access denied"])
def test_an_answer_that_sounds_like_the_relays_delays_that_message(bench, forward, words):   # R23
    forward(1), forward(2, created_at=bench.ago(minutes=59))
    to_first(bench, Result("at MAIL", 450, "4.7.1", words))
    bench.attempt("retry_forwards")
    bench.now = bench.ahead(hours=1)
    bench.attempt("retry_forwards")
    assert bench.column("failed_emails") == ["pending", "sent"]
    bench.now = bench.ahead(days=7)
    bench.attempt("retry_forwards")
    assert bench.column("failed_emails") == ["failed", "sent"]


def test_one_connection_lost_before_data_delays_that_message_alone(bench, forward):  # R23 R29
    forward(1), forward(2)
    answers(bench, CLOSED)
    assert bench.run("retry_forwards") == {**NONE, "sent": 1, "postponed": 1}
    lost = row(bench, 1)
    assert "others go first" in bench.command("queue", "forwards", "1")
    assert (lost["attempts"], lost["status"], lost["next_attempt_at"]) == (
        0, "pending", clock.text(bench.ahead(minutes=15)))
    logged = next(event for event in bench.events("retry_forwards") if event.get("id") == 1)
    assert (logged["attempt"], logged["next_attempt_at"]) == (1, lost["next_attempt_at"])
    bench.now = bench.ahead(days=7)             # not for ever
    always(bench, CLOSED)
    assert bench.run("retry_forwards")["failed"] == 1


def test_two_in_a_row_are_the_relays_failure(bench, forward):     # R29
    forward(1), forward(2), forward(3)
    always(bench, CLOSED)
    bench.fails("retry_forwards")
    assert bench.column("failed_emails", "attempts") == [0, 0, 0]
    assert bench.result["counts"] == {**NONE, "postponed": 2}


# One bad message stops no other

@pytest.mark.parametrize("name", ["mails/{}.eml", "/mails/{}.eml"])
def test_where_no_waiting_row_names_a_file_no_row_is_to_blame(bench, forward, name):       # R23
    """[spool] dir is mails/ already, or the app keeps whole paths."""
    for id in (1, 2, 3):
        forward(id, raw_path=name.format(id))
    for dry_run in (True, False):
        assert bench.fails("retry_forwards", dry_run=dry_run).startswith(
            f"none of the 3 waiting messages looked at is in [spool] dir = {bench.spool_dir}, such "
            f"as {name.format('')[:6]}")
    assert {(each["status"], each["attempts"], each["claim_run"] or None)
            for each in bench.rows("failed_emails")} == {("pending", 0, None)}
    forward(4)                              # one that is there: the others are lost
    assert bench.run("retry_forwards") == {"sent": 1, "retried": 0, "failed": 3, "notices": 1}


def test_what_one_owner_has_lost_stops_no_other(bench, forward):                       # R66
    bench.table("users", [{"id": 2, "email": "al@account.example"}])
    lost = {"user_id": 2, "alias_id": 1, "destination_id": 1, "envelope_to": "al@home.example",
            "next_attempt_at": bench.ago(hours=1)}
    bench.bulk("failed_emails", [{"id": id, "raw_path": f"lost{id}.eml", **lost}
                                 for id in range(1, 251)])
    forward(251, next_attempt_at=bench.ago(minutes=1))
    assert bench.run("retry_forwards") == {"sent": 1, "retried": 0, "failed": 250, "notices": 0}


@pytest.mark.parametrize("values, why", [
    *(({"raw_path": path}, "expected a path below the spool folder")
      for path in ("../../etc/passwd", "/etc/passwd", "a\\b", "", ".jobs-spool")),
    ({"envelope_to": "no address"}, "5.1.3 ")])
def test_a_path_out_of_the_spool_and_no_address_are_final(bench, forward, values, why):  # R23 R35
    forward(1, **values), forward(2)
    assert bench.run("retry_forwards") == {"sent": 1, "retried": 0, "failed": 1, "notices": 1}
    assert why in row(bench, 1)["last_error"]


def test_files_that_may_not_be_read_cost_no_attempt_and_are_reported(bench, forward):     # R23
    forward(1), forward(2)
    to_first(bench, Result(UNREADABLE, None, "", "the stored message cannot be read: no right"))
    assert bench.fails("retry_forwards").startswith("forward 1: the stored message cannot be read")
    assert [(each["status"], each["attempts"]) for each in bench.rows("failed_emails")] == [
        ("pending", 0), ("sent", 1)]


def test_an_exception_is_that_messages_own_and_final_after_its_attempts(bench, forward):     # R23
    forward(1, attempts=3, next_attempt_at=bench.ago(minutes=1)), forward(2)
    to_first(bench, UnicodeError("a byte that is no letter"))
    assert bench.run("retry_forwards")["sent"] == 1
    assert row(bench, 1)["status"] == "failed"
    assert row(bench, 1)["last_error"].endswith("(UnicodeError: a byte that is no letter)")


def test_a_failure_is_reported_also_where_each_run_ends_at_a_limit(bench, forward):          # R84
    bench.config(mail={"per_hour": 1})
    forward(1, envelope_to="no address"), forward(2, destination_id=0), forward(3)      # R67: none
    assert bench.run("retry_forwards") == {"sent": 1, "retried": 0, "failed": 1, "notices": 1}
    assert bench.result["status"] == "partial"
    assert bench.column("failed_emails")[:2] == ["failed", "sent"]


def test_loops_end(bench, forward):     # R36
    forward(1, b"Received: from a by b\r\n" * 51 + LETTER % (1, 1))
    forward(2, b"Received: from a by b\r\n" * 50 + LETTER % (2, 2))
    assert bench.run("retry_forwards")["failed"] == 1
    assert "relayed 51 times" in row(bench, 1)["last_error"]
    forward(3, bench.outbox[0].raw)                             # came back with our mark
    forward(4, bench.outbox[0].raw, envelope_to="other@home.example")
    assert bench.run("retry_forwards")["sent"] == 1
    assert "we have forwarded this message to this address before" in row(bench, 3)["last_error"]


def test_two_aliases_of_one_address_leave_marks_that_nobody_can_compare(bench, forward):     # R36
    bench.table("aliases", [{"id": 2, "user_id": 1, "address": "two@service.example"}])
    for id, alias in ((1, 1), (2, 2), (3, 1)):
        forward(id, alias_id=alias)
    assert bench.run("retry_forwards")["sent"] == 3
    first, second, third = (re.search(rb"X-Alias-Forwarded: (\w+)", letter.raw)[1]
                            for letter in bench.outbox)
    assert first == third != second
    for id, letter in enumerate(list(bench.outbox), 4):
        # through both in a circle: each knows its own way
        forward(id, letter.raw, alias_id=1)
    assert {"sent": 1, "failed": 2}.items() <= bench.run("retry_forwards").items()


def test_the_sender_is_rewritten_to_our_domain_and_back_again(bench, forward):     # R36
    bench.config(mail={"domain": "service.example", "srs_secret": SECRET})
    forward(1)
    bench.run("retry_forwards")
    sender = bench.outbox[0].sender
    assert re.fullmatch(r"SRS0=\S+@service\.example", sender)
    assert jobs_lib.srs.reverse(sender, SECRET, bench.now) == "orders@shop.example"


def test_every_attempt_sends_the_same_bytes_the_original_unchanged_in_them(bench, forward):  # R26
    content = b"Subject: \xff\r\n\r\nraw \x00 bytes\r\n.\r\n\n\n"
    forward(1, content)
    seen, send = [], bench.outbox.send

    def record(envelope, message, *more) -> Result:
        seen.append(message.head + Path(message.path).read_bytes())
        return send(envelope, message, *more)
    bench.outbox.send = record
    always(bench, BUSY)
    for days in (0, 1):
        bench.now = bench.ahead(days=days)
        bench.run("retry_forwards")
    assert seen == [seen[0]] * 2
    assert seen[0].endswith(content)
    assert seen[0].count(b"\r\n", 0, -len(content)) == 1


@pytest.mark.parametrize("missing, why", [
    ("users", "the account is missing"), ("aliases", "the alias is missing"),
    ("destinations", "the destination is missing")])
def test_mail_of_what_is_missing_is_cancelled_without_a_notice(bench, forward, missing, why):
    forward(1)
    bench.db.execute(f"DELETE FROM {{{missing}}} WHERE id = 1")
    assert bench.run("retry_forwards")["cancelled"] == 1
    ended = row(bench, 1)
    assert (ended["status"], ended["last_error"], ended["attempts"]) == (
        "failed", f"cancelled: {why}", 0)
    assert bench.outbox == bench.ids("notifications") == []


def test_where_much_lacks_its_alias_it_waits_and_ends_past_the_seventh_day(bench, forward):   # R84
    for id in range(1, 9):
        forward(id, alias_id=99)
    forward(9), forward(10, alias_id=99, created_at=bench.ago(days=8))
    for dry_run in (True, False):
        counts = bench.run("retry_forwards", dry_run=dry_run)
        assert (counts["sent"], counts["cancelled"], counts["held"]) == (1, 1, 9)
    assert bench.column("failed_emails") == ["pending"] * 8 + ["sent", "failed"]
    bench.table("aliases", [{"id": 99, "user_id": 1}])
    assert bench.run("retry_forwards")["sent"] == 8


@pytest.mark.parametrize("how", [
    {"envelope_from": "MAILER-DAEMON"},
    {"content": b"Auto-Submitted: auto-replied\r\n" + LETTER % (1, 1)}])
def test_mail_of_machines_causes_no_notice_by_itself(bench, forward, how):     # R36
    forward(1, attempts=3, **how)
    always(bench, UNKNOWN)
    bench.run("retry_forwards")
    assert bench.ids("notifications") == []
    assert row(bench, 1)["notified_at"]
    forward(2, attempts=3)
    bench.run("retry_forwards")
    assert len(bench.ids("notifications")) == 1


def test_a_senders_words_add_no_line_and_no_header(bench, forward):     # R35
    forward(1, b"From: =?utf-8?q?a=0d=0ABcc:_x@y.example?= <a@b.example>\r\n"
               b"Subject: =?utf-8?q?one=0d=0aX-Evil:_yes?=\r\n\r\nhello\r\n", attempts=3)
    always(bench, UNKNOWN)
    bench.run("retry_forwards")
    notice, = bench.rows("notifications")
    assert "\n" not in notice["subject"]
    assert "\r" not in notice["body_text"]
    assert not any(line.startswith(("Bcc", "X-Evil")) for line in notice["body_text"].splitlines())


def test_no_message_is_begun_with_less_than_a_minute_to_the_hard_limit(bench, forward):     # R30
    forward(1), forward(2)

    def slow(envelope):
        bench.clock.seconds += 215                  # of 240 and 30
        return TAKEN
    bench.outbox.answer = slow
    assert bench.attempt("retry_forwards")["status"] == "partial"
    assert bench.result["stop_reason"] == "budget"
    assert bench.column("failed_emails") == ["sent", "pending"]
    assert row(bench, 2)["claim_run"] is None


# The notice of a final failure

@pytest.fixture
def failed(bench, forward):
    """Makes one that has finally failed: `failed(1, last_error="...")`."""
    def make(id: int, content: bytes = b"", **values) -> int:
        return forward(id, content, **{
            "status": "failed", "attempts": 1, "last_code": 550,
            "last_error": "5.1.1 no such user", "created_at": bench.ago(hours=3),
            "finished_at": bench.ago(hours=1), **values})
    return make


def notice(bench, user_id: int = 1) -> dict:
    found, = (row for row in bench.rows("notifications") if row["user_id"] == user_id)
    return found


def told(bench, id: int) -> tuple:
    row = bench.db.row("SELECT notified_at, notice_id FROM {failed_emails} WHERE id = :id", id=id)
    return bool(row["notified_at"] or row["notice_id"]), row["notice_id"]


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


def test_an_owner_is_notified_when_the_notice_was_sent_and_another_address_if_it_was_refused(
        bench, failed):    # R84
    bench.table("destinations", [{"user_id": 1, "email": WORK, "verified_at": bench.ago(days=9)}])
    failed(1)
    bench.run("retry_forwards")
    bench.db.execute("UPDATE {notifications} SET status = 'failed', finished_at = :now",
                     now=bench.now)
    bench.now = bench.ahead(minutes=5)
    assert bench.run("retry_forwards")["notices"] == 0
    assert (notice(bench)["status"], notice(bench)["to_email"]) == ("pending", WORK)
    assert notice(bench)["next_attempt_at"] == clock.text(bench.now)    # not since it was written
    assert bench.rows("failed_emails")[0]["notified_at"] is None
    assert bench.run("send_notifications")["sent"] == 1
    assert bench.rows("failed_emails")[0]["notified_at"] == clock.text(bench.now)


@pytest.mark.parametrize("error, why", [
    ("the message has 40000000 octets, the relay takes at most 20000000",
     "too large for our mail server"),
    ("the sender cannot be rewritten: the address is empty", "sender's address is not valid"),
    ("it could not be sent: an internal error (KeyError)", "problem is on our side"),
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
    failed(1), failed(2, last_code=None, last_error="the stored message is missing")
    (bench.spool_dir / "2.eml").unlink()
    bench.run("retry_forwards")
    first, second = notice(bench)["body_text"].split("Order 1")[1].split("From:")
    assert "Kept:        until 1 December 2026 at 13:30 UTC" in first
    assert "Kept:" not in second
    assert "Subject:     (unknown)" in second
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
