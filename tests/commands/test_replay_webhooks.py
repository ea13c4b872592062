"""`replay webhook`: finished deliveries go back into the queue as new, by id or all that failed for
an endpoint."""
from __future__ import annotations

import json
from datetime import timedelta

import pytest

from jobs_lib import clock
from jobs_lib.config import loader
from jobs_lib.database.connection import connect
from jobs_lib.engines import requeue
from jobs_lib.engines.work_queue import view
from jobs_lib.monitoring import queues
from tests.servers.web import Web
from tests.support.hooks import fill
from tests.support.shell import Shell

AGO = clock.now() - timedelta(hours=1)


@pytest.fixture
def service(tmp_path, engine_url):
    made = Shell(tmp_path, engine_url, webhooks={"allow_networks": "127.0.0.0/8"})
    fill(made, 1024, endpoints=2, each=3)
    made.db.execute("UPDATE {webhook_deliveries} "
                    "SET status = 'failed', attempts = 5, finished_at = :ago,"
                    " uncertain = 2, last_error = 'the endpoint answered 500', created_at = :ago",
                    ago=AGO)
    return made


def row(service, id: int) -> dict:
    return service.db.row("SELECT * FROM {webhook_deliveries} WHERE id = :id", id=id)


def replay(service, *words, code: int = 0) -> tuple[list[str], list[str]]:
    """The lines on stdout and stderr."""
    process = service.start("replay", "webhook", *map(str, words))
    out, err = process.communicate(timeout=60)
    assert process.returncode == code, out + err
    return out.splitlines(), err.splitlines()


# R41
def test_the_next_run_sends_failed_and_delivered_ones_again_under_the_same_id(service):
    service.db.execute("UPDATE {webhook_deliveries} SET status = 'delivered' WHERE id = 2")
    out, err = replay(service, 1, 2)
    assert (out, err) == (["webhook 1: back in the queue, due now",
                           "webhook 2: back in the queue, due now",
                           "The next run of retry_webhooks sends them."], [])
    found = row(service, 1)
    assert [found[name] for name in ("status", "attempts", "finished_at", "uncertain",
                                     "claim_token")] == [
        "pending", 0, None, 0, None]
    with Web() as web:
        service.db.execute("UPDATE {webhooks} SET url = :url", url=f"http://127.0.0.1:{web.port}/")
        assert service.job("retry_webhooks")["counts"]["delivered"] == 2
        assert sorted(heard.headers["webhook-id"] for heard in web.requests) == sorted(
            row(service, id)["event_id"] for id in (1, 2))


def test_what_cannot_be_sent_is_refused_and_the_rest_goes_through(service):
    service.db.execute("UPDATE {webhook_deliveries} SET status = 'pending' WHERE id = 1")
    service.db.execute("UPDATE {webhook_deliveries} SET payload = NULL WHERE id = 2")
    out, err = replay(service, 1, 2, 3, 99, 10 ** 30, code=1)
    assert out[0] == "webhook 3: back in the queue, due now"
    assert err == ["webhook 1: refused, it is in the queue already (pending)",
                   "webhook 2: refused, its payload was deleted",
                   "webhook 99: refused, there is no such row (it may have been purged)",
                   f"webhook {10 ** 30}: refused, there is no such row (it may have been purged)"]
    document = json.loads(service.run("replay", "webhook", "4", "99", "--json", code=1))
    assert (document["queue"], document["replayed"], document["refused"][0]["id"]) == ("webhooks",
                                                                                      [4], 99)


def test_what_the_next_run_would_cancel_is_refused(service):
    service.db.execute("UPDATE {webhooks} SET active = 0 WHERE id = 2")
    [id] = [each["id"] for each in service.db.query(
        "SELECT MIN(id) AS id FROM {webhook_deliveries} WHERE webhook_id = 2")]
    assert replay(service, id, code=1)[1] == [f"webhook {id}: refused, the endpoint is disabled"]


def test_only_rows_that_were_put_back_are_reported_as_put_back(service):
    class Racing(type(queues.claimed("webhooks"))):
        """Another puts one back, once we have asked which there are."""

        def failed_pages(self, ctx, size, **which):
            for ids in super().failed_pages(ctx, size, **which):
                other = connect(service.url)
                other.execute("UPDATE {webhook_deliveries} SET status = 'pending', attempts = 3 "
                              "WHERE id = 1")
                other.close()
                yield ids
    config = loader.load(None, beside=str(service.folder), environ={})
    mine = [each["id"] for each in service.db.query("SELECT id FROM {webhook_deliveries}")]
    ctx = view(service.inside, config, clock.now(), config.job_named("retry_webhooks"))
    found = requeue.replay_failed(ctx, Racing())
    assert sorted(found.done) == [id for id in mine if id != 1]
    assert found.refused == {1: "it is in the queue already (pending)"}
    assert row(service, 1)["attempts"] == 3
