"""What an app or an operator changes in the middle of a run is not undone by that run, and nothing
is sent, disabled or lost that should not be any more."""
from __future__ import annotations

import pytest

from tests.queue.test_rows import QUEUES, due
from tests.support.product import ANSWERED, FINAL, RETRY, SENT, Response, Result

MAIL = {SENT: Result(SENT, 250, "2.0.0", "taken"), RETRY: Result(RETRY, 451, "4.7.1", "later"),
        FINAL: Result(FINAL, 550, "5.1.1", "no such user")}
WEB = {SENT: 204, RETRY: 500, FINAL: 410}
MOVE = ("UPDATE {failed_emails} SET user_id = 2", "UPDATE {notifications} SET user_id = 2",
        "UPDATE {webhook_deliveries} SET user_id = 2", "UPDATE {webhooks} SET user_id = 2",
        "DELETE FROM {users} WHERE id = 1")
ENABLE = ("UPDATE {webhooks} SET active = 1, disabled_at = NULL, disabled_reason = NULL, "
          "failing_since = NULL")


@pytest.fixture
def during(bench):
    """`during(sql, ..., outcome=SENT)`: what the app does while the first item is being sent, six
    seconds before it is answered. Such is the outcome of each item that is sent."""
    def during(*statements, outcome=SENT) -> None:
        waiting = [statements]

        def act() -> None:
            bench.elsewhere(*(waiting.pop() if waiting else ()))
            bench.clock.seconds += 6
        bench.outbox.answer = lambda _: (act(), MAIL[outcome])[1]
        bench.web.answer = lambda _: (act(), Response(ANSWERED, WEB[outcome]))[1]
    return during


def sent(bench) -> int:
    """How many items were taken by the other side, or refused."""
    return len(bench.outbox) + len(bench.web)


@pytest.mark.parametrize("outcome", [RETRY, FINAL])
@pytest.mark.parametrize("status", ["done", "failed", "by_app"])
@pytest.mark.parametrize("job", QUEUES)
# R21: it was pending again, and sent again
def test_what_the_app_ends_while_it_is_sent_stays_ended(bench, during, job, status, outcome):
    table, done = QUEUES[job]
    due(bench, table, 1)
    status = done if status == "done" else status
    during(f"UPDATE {{{table}}} SET status = '{status}'", outcome=outcome)
    bench.run(job)
    during()
    before = sent(bench)
    for hours in (3, 30):
        bench.now = bench.ahead(hours=hours)
        bench.run(job)
        assert [row["status"] for row in bench.rows(table)] == [status]
    assert sent(bench) == before
    assert bench.ids("notifications", "kind = 'forward_failed'") == []


@pytest.mark.parametrize("job", QUEUES)
# R21: it was cancelled, since the account that had it before is deleted
def test_what_is_moved_to_another_account_is_sent(bench, during, job):
    table, done = QUEUES[job]
    due(bench, table, 3)
    bench.table("users", [{"id": 2}])
    during(*MOVE)
    for _ in range(2):
        bench.run(job)
    assert bench.ids(table, f"status = '{done}'") == [1, 2, 3]
    assert sent(bench) == 3


@pytest.mark.parametrize("status", ["suspended", "deleted"])
@pytest.mark.parametrize("job", QUEUES)
# R21 R84
def test_nothing_more_is_sent_for_an_account_that_is_not_active(bench, during, job, status):
    table, done = QUEUES[job]
    due(bench, table, 3)
    during(f"UPDATE {{users}} SET status = '{status}'")
    for _ in range(2):
        bench.run(job)
    assert sent(bench) == 1
    assert bench.ids(table, "status = 'pending' AND claim_run IS NULL") == [2, 3]
    during("UPDATE {users} SET status = 'active'")
    bench.db.execute("UPDATE {users} SET status = 'active'")
    bench.run(job)
    assert bench.ids(table, f"status = '{done}'") == [1, 2, 3]


@pytest.mark.parametrize("change, outcome, to_the_new_one", [
    ("UPDATE {webhooks} SET active = 0", SENT, [False]),
    ("UPDATE {webhooks} SET active = 0", FINAL, [False]), ("DELETE FROM {webhooks}", SENT, [False]),
    ("UPDATE {webhooks} SET url = 'https://new.example/'", SENT, [False, True, True])])
# R21: up to 20 deliveries went to an endpoint that its owner had switched off
def test_what_follows_goes_where_the_owner_wants_it(bench, during, change, outcome, to_the_new_one):
    due(bench, "webhook_deliveries", 3)
    during(change, outcome=outcome)
    for _ in range(2):
        bench.run("retry_webhooks")
        bench.now = bench.ahead(minutes=5)
    assert [request.url == "https://new.example/" for request in bench.web] == to_the_new_one
    assert bench.ids("webhook_deliveries", "status = 'pending'") == []
    assert bench.rows("notifications") == []


@pytest.mark.parametrize("failing, outcome, change", [
    (9, RETRY, ENABLE), (4, RETRY, ENABLE),
    (None, FINAL, "UPDATE {webhooks} SET url = 'https://new.example/'")])
# R42: by what was known before, it was disabled or its owner warned
def test_an_endpoint_that_its_owner_changed_is_not_blamed(bench, during, failing, outcome, change):
    due(bench, "webhook_deliveries", 1)
    bench.db.execute("UPDATE {users} SET email = 'jo@home.example'")
    bench.db.execute("UPDATE {webhooks} SET failing_since = :since",
                     since=failing and bench.ago(days=failing))
    during(change, outcome=outcome)
    bench.run("retry_webhooks")
    endpoint, = bench.rows("webhooks")
    assert (endpoint["active"], endpoint["failing_since"]) == (1, None)
    assert bench.rows("notifications") == []


@pytest.mark.parametrize("change, status, notices", [
    # R54: the new owner got what belongs to the old one
    ("UPDATE {export_requests} SET user_id = 2", "ready", [(2, "export_ready")]),
    ("UPDATE {users} SET status = 'suspended'", "queued", [])])     # R55
def test_an_export_goes_to_its_owner_of_now(bench, change, status, notices):
    bench.config(core={"app_url": "https://www.example.org"}, export={"dir": "exports"})
    bench.table("users", [{"id": 1, "email": "jo@home.example"}, {"id": 2, "email": "a@b.example"}])
    bench.table("export_requests", [{"id": 1, "user_id": 1, "requested_at": bench.ago(minutes=1)}])
    bench.meanwhile("FROM {aliases}", change)
    assert bench.run("export_accounts")["exported"] == 0
    assert bench.run("export_accounts")["exported"] == len(notices)
    assert [row["status"] for row in bench.rows("export_requests")] == [status]
    assert [(row["user_id"], row["kind"]) for row in bench.rows("notifications")] == notices
    assert len([*(bench.folder / "exports").glob("*.zip*")]) == len(notices)


@pytest.mark.parametrize("change", ["status = 'pending'", "status = 'sent'", "status = 'by_app'",
                                    "notified_at = :now", "user_id = 2"])
# R21: its owner was notified by what the run had read before it began to write notices
def test_nobody_is_notified_of_a_forward_that_has_not_failed_any_more(bench, change):
    due(bench, "failed_emails", 1)
    bench.table("users", [{"id": 2, "email": "a@home.example"}])
    bench.db.execute("UPDATE {users} SET email = 'b@home.example' WHERE id = 1")
    bench.db.execute("UPDATE {failed_emails} SET status = 'failed', envelope_from = 'c@far.example'"
                     ", next_attempt_at = :later", later=bench.ahead(days=1))
    bench.meanwhile("notified_at IS NULL", lambda: bench.meanwhile(
        "BEGIN", f"UPDATE {{failed_emails}} SET {change}"))
    assert bench.run("retry_forwards")["notices"] == 0
    row, = bench.rows("failed_emails")
    assert (row["notified_at"] is None) == (change != "notified_at = :now")


# R21: the owner before was notified of it, and the audit log named that one
def test_an_alias_that_was_moved_is_switched_off_for_its_new_owner(bench):
    bench.table("users", [{"id": 1, "email": "a@home.example"}, {"id": 2, "email": "b@x.example"}])
    bench.table("aliases", [{"id": 1, "user_id": 1, "expires_at": bench.ago(hours=1)}])
    bench.meanwhile("FROM {aliases}", lambda: bench.meanwhile(
        "BEGIN", "UPDATE {aliases} SET user_id = 2"))
    for _ in range(2):
        bench.run("expire_aliases")
    assert [row["active"] for row in bench.rows("aliases")] == [0]
    assert [row["user_id"] for row in bench.rows("notifications")] == [2]
    assert [row["user_id"] for row in bench.rows("audit_logs")] == [2]


@pytest.mark.parametrize("days", ["NULL", "61"])
# R21: what was due by the owner's choice when the run began to delete was deleted all the same
def test_logs_stay_whose_owner_keeps_them_longer_by_now(bench, days):
    bench.table("users", [{"id": 1, "log_retention_days": 30}])
    bench.table("message_logs", [{"user_id": 1, "direction": "send", "status": "delivered",
                                  "created_at": bench.ago(days=60)}] * 3)
    bench.meanwhile("user_id = :owner", f"UPDATE {{users}} SET log_retention_days = {days}")
    for _ in range(2):
        assert bench.run("purge_message_logs")["deleted"] == 0
    assert bench.on_statement is None
