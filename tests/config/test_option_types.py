"""The kinds of values: what they take, what they refuse and say, and that what is shown can be read
again."""
from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs_lib import catalogue
from jobs_lib.config import option_types as kind
from jobs_lib.config import settings

EVERY = [(f"{section}.{name}", option) for section, known in settings.SECTIONS.items()
         for name, option in known.items()]
EVERY += [(f"{job.name}.{name}", option) for job in catalogue.load_all()
          for name, option in settings.job_options(job).items()]


@pytest.mark.parametrize("option", [pytest.param(option, id=name) for name, option in EVERY])
def test_a_default_is_valid(option):
    option.kind.parse(option.default)
    assert option.meaning.endswith(".")


@given(st.integers(1, 36_500 * 86_400))
def test_a_duration_that_is_shown_is_read_as_the_same(seconds):
    span = timedelta(seconds=seconds)
    assert kind.duration.parse(kind.show_duration(span)) == span


@given(st.integers(1, 10 ** 14))
def test_a_size_that_is_shown_is_read_as_the_same(size):
    assert kind.size.parse(kind.show_size(size)) == size


@pytest.mark.parametrize("parse, text, value", [
    (kind.duration.parse, "90d", timedelta(days=90)),
    (kind.duration.parse, "2W", timedelta(weeks=2)),
    (kind.duration.parse, " 7 d ", timedelta(days=7)),
    (kind.duration.parse, "30s", timedelta(seconds=30)),
    (kind.optional(kind.duration).parse, "OFF", None),
    (kind.size.parse, "25mb", 25 * 1024 ** 2),
    (kind.switch.parse, "On", True),
    (kind.switch.parse, "0", False),
    (kind.several(kind.duration).parse, "1h,\n6h\n24h,", (timedelta(hours=1), timedelta(hours=6),
                                                          timedelta(days=1))),
    (kind.or_empty(kind.url).parse, "", ""),
    (kind.host.parse, "::1", "::1"),
    (kind.host.parse, "m\u00fcller.example", "m\u00fcller.example"),
    (kind.mailbox.parse, "The Porter <p@example.org>", "The Porter <p@example.org>"),
    *((settings.SECTIONS["dns"]["nameservers"].kind.parse, text, (server,)) for text, server in (
        ("192.0.2.1", ("192.0.2.1", 53)), ("192.0.2.1:5353", ("192.0.2.1", 5353)),
        ("2001:db8::1", ("2001:db8::1", 53)), ("[2001:db8::1]:5353", ("2001:db8::1", 5353)))),
    *((kind.database.parse, url, url) for url in (
        "sqlite:///jobs.db", "sqlite:////srv/jobs.db?vfs=unix-dotfile",
        "mysql://me:a@b/c:d?e@host:3306/name", "mysql://me:x@host/name?tls=off",
        "mariadb://me@localhost/name?unix_socket=/run/s.sock&ssl_ca=/etc/ca.pem",
        "mysql://me:@/name")),
])
def test_what_is_taken(parse, text, value):
    assert parse(text) == value


@pytest.mark.parametrize("url, shown", [
    ("mysql://user:hunter2@host:3306/name", "mysql://user:********@host:3306/name"),
    ("mysql://user:hun@t/e:r?2@host/name?unix_socket=/s",
     "mysql://user:********@host/name?unix_socket=/s"),
    ("mysql://user:hun://ter2@host/name", ":********@host/name"),
    ("mysql://user:hunter2/name", "mysql://user:********"),                 # the host was forgotten
    ("mysql:/user:hunter2@host/name", ":********@host/name"),
    ("mysql://user@host/name?password=hunter2", "mysql://user@host/name?********"),
    ("redis://:hunter2@host", "redis://:********@host"),
    ("mysql://host:3306/name", "mysql://host:3306/name"),
    ("sqlite:////home/me@work/jobs.db", "sqlite:////home/me@work/jobs.db"),
    ("", ""),
])
def test_a_database_url_is_shown_without_its_password(url, shown):
    assert kind.hide_password(url) == shown


@given(password=st.text(min_size=6).filter(
    lambda text: text not in "mysql://user:********@host/name"))
def test_no_password_is_ever_shown(password):
    assert password not in kind.hide_password(f"mysql://user:{password}@host/name")
