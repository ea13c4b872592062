"""The status page: what needs somebody first, nothing private, nothing from elsewhere."""
from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser

import pytest

from jobs_lib import catalogue
from jobs_lib.monitoring import incidents, overview, publish
from tests.support.past import SECRETS, fill, ready

VOID = ("meta", "link", "br", "img", "wbr", "input", "hr")


class Page(HTMLParser):
    """Reads a page: `text` as a person does, `tags` with their attributes; fails on what is not
    nested well."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags, self.open, self.words = [], [], []
        self.feed(text)
        self.close()
        assert self.open == []
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.words.append(data)


@pytest.fixture(scope="module")
def well(tmp_path_factory):
    """A service with nothing to complain of."""
    with ready(tmp_path_factory.mktemp("well")) as bench:
        yield bench


@pytest.fixture(scope="module")
def troubled(tmp_path_factory):
    """A service with incidents."""
    with ready(tmp_path_factory.mktemp("troubled"), troubled=True) as bench:
        yield bench


def page(bench, private: bool = False) -> str:
    return publish.page(bench._config, bench.db, bench.now, private)


def test_when_all_is_well_it_says_so(well):
    read = Page(page(well))
    assert "All is well" in read.text
    assert "jobs.py history" not in read.text
    assert all(name in read.text.replace("_ ", "_") for name in catalogue.names())
    assert "41 of 80 recipients" in read.text


def test_incidents_are_first_with_what_to_run(troubled):
    text = Page(page(troubled)).text
    assert "3 things need you" in text
    # incidents, queues, then jobs
    first, _, rest = text.partition(" Queues Webhook deliveries ")
    parts = [rest.index(text) for text in ("! stalled", " Jobs Job Last run", "Runs in 30 days")]
    assert parts == sorted(parts)
    assert "retry_webhooks has failed" in first
    assert "python3 jobs.py history retry_webhooks" in first
    assert "purge_sessions has not succeeded" in first
    groups = [rest.index(title) for title in ("Deliver retry_", "Check and count check_",
                                              "past the retention ")]
    assert groups == sorted(groups)
    # what fares badly, before the others
    assert rest.index("retry_ webhooks") < rest.index("retry_ forwards")
    assert rest.index("purge_ sessions") < rest.index("archive_ audit_ logs")


def test_a_single_failure_and_a_pause_are_shown_although_nothing_needs_you(bench):
    bench.table("job_runs", [{"job": "retry_forwards", "run_id": "r1", "status": "failed",
                              "started_at": bench.now}])
    bench.table("job_state", [{"job": "purge_sessions", "paused_at": bench.now}])
    text = Page(page(bench)).text
    assert "All is well" in text
    assert ("Failed the last time, not yet often enough to need you: retry_forwards. "
            "Paused: purge_sessions.") in text


def test_the_page_shows_nothing_of_the_outside_world(troubled):        # R61
    text = page(troubled)
    assert [secret for secret in (*SECRETS, str(troubled.folder)) if secret in text] == []
    assert "@" not in re.sub(r"@media", "", text)


def test_private_adds_the_messages_escaped_and_without_addresses(troubled):
    text = page(troubled, private=True)
    assert "relay.provider.example refused" in text
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    assert "jane@" not in Page(text).text


@pytest.mark.parametrize("private", [False, True])
def test_nothing_is_loaded_and_nothing_runs(troubled, private):
    text = page(troubled, private)
    read = Page(text)
    assert {tag for tag, _ in read.tags} & {"script", "link", "img", "iframe", "object",
                                            "form"} == set()
    assert [name for _, found in read.tags for name in found
            if name in ("style", "src") or name.startswith("on")] == []
    assert [found["href"] for _, found in read.tags
            if not found.get("href", "#").startswith("#")] == []
    assert re.findall(r"url\((?!#)", text) == []
    style = re.search(r"(?s)<style>(.*?)</style>", text)[1]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"default-src 'none'; style-src 'sha256-{digest}'" in text


def test_each_incident_says_what_to_do_with_a_shell_and_without(troubled):
    text = Page(page(troubled)).text
    for each in overview.collect(troubled._config, troubled.db, troubled.now)["incidents"]:
        do, no_shell = incidents.KINDS[each["kind"]]
        start = text.index(each["subject"])
        assert text.index(do, start) < text.index(" Queues ", start)
        assert no_shell in text
    assert "No shell? In your host's cron page, add a line with the command" in text
    assert "docs/" not in text                  # it is often read where these are not


@pytest.mark.parametrize("kind", incidents.KINDS)
def test_there_is_advice_for_each_kind_of_incident(kind):
    do, no_shell = incidents.KINDS[kind]
    assert 40 < len(do) < 260
    assert not no_shell or no_shell.startswith("No shell? ")


def test_a_stalled_queue_is_first(troubled):
    text = Page(page(troubled)).text
    assert text.index("Webhook deliveries ! stalled") < text.index("Forwarded mail")


def test_a_job_that_cron_has_not_started_is_due(bench):
    bench.table("job_state", [{"job": "retry_forwards", "due_after": bench.ago(minutes=20)}])
    row = page(bench).partition('id="job-retry_forwards"')[2].partition("</tr>")[0]
    assert '<td class="next">due now</td>' in row


def test_the_texts_of_an_incident_are_escaped(well, monkeypatch):
    trouble = incidents.Incident("k", "configuration", "<b>&\"x\"", well.now, "what", "<i>",
                                "config <check>")
    monkeypatch.setattr(incidents, "find", lambda *_: [trouble])
    text = page(well, private=True)
    assert "&lt;b&gt;&amp;&quot;x&quot;" in text
    assert {"b", "i"} & {tag for tag, _ in Page(text).tags} == set()


def test_times_are_in_the_zone_of_the_configuration(well):
    well.config(core={"timezone": "Asia/Kolkata"})
    text = Page(page(well)).text
    well.config(core={"timezone": "UTC"})
    assert "24 Nov 20:00" in text                           # 14:30 UTC
    assert "Asia/Kolkata" in text


def test_both_engines_show_the_same(bench, troubled):
    fill(bench.db, bench.now, troubled=True)

    def told(one) -> dict:
        found = overview.with_past(overview.collect(one._config, one.db, one.now), one.db, one.now)
        found["incidents"] = [{**each, "command": each["command"].replace(str(one.folder), "")}
                             for each in found["incidents"]]
        return {name: value for name, value in found.items() if name not in ("tables",
                                                                             "database_bytes",
                                                                             "disks")}

    assert told(bench) == told(troubled)
    assert overview.public(told(bench))["jobs"] == [{**job, "error": None}
                                                    for job in told(troubled)["jobs"]]
