"""The metrics are read by Prometheus' own parsers, and say what is so."""
from __future__ import annotations

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text

from jobs_lib.monitoring import publish
from tests.support.past import SECRETS, ready


def values(text: str, read=read_openmetrics) -> dict:
    """{(metric, labels...): value}."""
    return {(sample.name, *sorted(sample.labels.items())): sample.value
            for family in read(text) for sample in family.samples}


@pytest.fixture(scope="module")
def troubled(tmp_path_factory):
    """A service with incidents."""
    with ready(tmp_path_factory.mktemp("service"), troubled=True) as bench:
        yield bench


@pytest.fixture
def text(troubled):
    """Its metrics."""
    return publish.metrics(troubled._config, troubled.db, troubled.now)


def test_both_parsers_read_the_same(text):         # R62: the node exporter reads the older format
    assert values(text) == values(text, read_text)
    assert text.endswith("\n# EOF\n")


def test_the_values_are_those_of_the_service(troubled, text):
    found = values(text)
    now = troubled.now.timestamp()
    assert found["jobs_incidents",] == 3
    assert found["jobs_generated_timestamp_seconds",] == now
    assert found["jobs_failures_in_a_row", ("job", "retry_webhooks")] > 20
    assert found["jobs_failures_in_a_row", ("job", "retry_forwards")] == 0
    assert found["jobs_lateness_seconds", ("job", "purge_sessions")] > 4 * 86400
    assert found["jobs_lateness_seconds", ("job", "retry_forwards")] == 0
    assert 0 <= now - found["jobs_last_success_timestamp_seconds", ("job", "retry_forwards")] < 3600
    assert found["jobs_runs_last_day", ("job", "retry_forwards"), ("status", "ok")] in range(20, 26)
    assert found["jobs_queue_depth", ("queue", "webhooks")] == 240
    assert found["jobs_queue_oldest_due_age_seconds", ("queue", "webhooks")] == 27 * 3600
    assert found["jobs_mail_recipients", ("window", "hour")] == 76
    assert found["jobs_mail_limit_recipients", ("window", "hour")] == 80
    assert found["jobs_relay_paused",] == 1


def test_a_run_of_this_very_second_counts(bench):
    bench.table("job_runs", [{"job": "check_jobs", "run_id": "r1", "status": "ok",
                              "started_at": bench.now}])
    found = values(publish.metrics(bench._config, bench.db, bench.now))
    assert found["jobs_runs_last_day", ("job", "check_jobs"), ("status", "ok")] == 1


def test_they_show_nothing_of_the_outside_world(troubled, text):       # R61
    assert [secret for secret in (*SECRETS, str(troubled.folder), "@") if secret in text] == []


def test_a_new_installation_has_metrics_too(bench):
    found = values(publish.metrics(bench._config, bench.db, bench.now))
    assert found["jobs_incidents",] == 0
    assert ("jobs_last_success_timestamp_seconds", ("job", "retry_forwards")) not in found
    assert found["jobs_runs_last_day", ("job", "retry_forwards"), ("status", "failed")] == 0
