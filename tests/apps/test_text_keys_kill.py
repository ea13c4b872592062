"""Killed at any point, jobs on an app's text keys do what they do on numbers: the kill tests of the
jobs themselves, on ULIDs."""
from __future__ import annotations

import pytest

from tests.engines import test_purge_kill as purge
from tests.every_job import test_cut_short as cut_short
from tests.jobs import test_retry_forwards_kill as forwards
from tests.jobs import test_retry_webhooks_kill as webhooks
from tests.support import keyed
from tests.support.bench import Bench
from tests.support.shell import Shell

# in their order, as numbers are: what a test asks for comes in the order that it expects
KEYS = keyed.ULIDS


@pytest.fixture
def url(blank_url):
    """The URL of an app's database with such keys, on each engine."""
    return keyed.make(blank_url, KEYS)


@pytest.mark.parametrize("point", ["files deleted, not committed", "in a later batch",
                                   "between the deletion and the first file"])
def test_a_purge(tmp_path, url, point):                 # R2 R75
    service = Shell(tmp_path, url, keys=KEYS)
    purge.fill(service, purge.ROWS)
    purge.test_killed_at_a_point(service, point)


@pytest.mark.parametrize("point", ["begun, not committed", "settle"])
def test_forwards(tmp_path, url, point):                # R2 R22 R75
    forwards.test_a_kill_at_a_statement_loses_nothing(Shell(tmp_path, url, keys=KEYS), point)


@pytest.mark.parametrize("point", ["begun, not committed", "settle"])
def test_webhooks(tmp_path, url, point):                # R2 R22 R75
    service = Shell(tmp_path, url, keys=KEYS, webhooks={"allow_networks": "127.0.0.0/8"})
    webhooks.test_a_kill_at_a_statement_loses_nothing(service, point)


@pytest.mark.parametrize("job", ["purge_message_logs", "delete_accounts"])
def test_totals_and_a_deletion(tmp_path, url, job):         # R2 R56 R58 R75
    bench = Bench(tmp_path, url, keys=KEYS)
    cut_short.test_killed_before_each_change_the_next_runs_do_the_rest(
        cut_short.judge(bench, job), job)
    bench.db.close()
