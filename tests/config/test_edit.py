"""Setting one option in a text: the rest keeps every byte."""
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs_lib.config import edit
from jobs_lib.config.files import read_ini

BEFORE = "# mine\n[core]\n\n# Where.\n#database = sqlite:///var/jobs.db\n[mail]\nhost = a\n"


@pytest.mark.parametrize("text, change, after", [
    (BEFORE, ("mail", "host", "b"), BEFORE.replace("host = a", "host = b")),
    # the example's own line is the place for it
    (BEFORE, ("core", "database", "sqlite:///x.db", "sqlite:///var/jobs.db"),
     BEFORE.replace("#database = sqlite:///var/jobs.db", "database = sqlite:///x.db")),
    # somebody's own note is not
    (BEFORE.replace("var/jobs", "old"), ("core", "database", "sqlite:///x.db", "sqlite:///var/j"),
     BEFORE.replace("var/jobs.db\n", "old.db\ndatabase = sqlite:///x.db\n")),
    (BEFORE, ("mail", "port", "25"), BEFORE + "port = 25\n"),
    (BEFORE, ("core", "prefix", "bj_"), BEFORE.replace("[core]\n", "[core]\nprefix = bj_\n")),
    (BEFORE, ("dns", "mx_hosts", "mx.example"), BEFORE + "\n[dns]\nmx_hosts = mx.example\n"),
    ("", ("mail", "host", "b"), "[mail]\nhost = b\n"),
    # a value over several lines goes as a whole, a comment within it stays
    ("[dns]\nmx_hosts =\n  a,\n  # mine\n  b\ntimeout = 5s\n", ("dns", "mx_hosts", "c"),
     "[dns]\nmx_hosts = c\n  # mine\ntimeout = 5s\n"),
    ("[mail]\r\nhost = a\r\n", ("mail", "port", "25"), "[mail]\r\nhost = a\r\nport = 25\r\n"),
    ("\ufeff[mail]\nhost = a\n", ("mail", "host", "b"), "[mail]\nhost = b\n"),
    ("[mail]\nHost=a", ("mail", "host", "b"), "[mail]\nhost = b\n"),
], ids=range(11))
def test_only_its_own_line_changes(text, change, after):
    assert edit.with_option(text, *change) == after


@pytest.mark.parametrize("text, after", [
    ("", "JOBS_MAIL_PASSWORD=new\n"),
    ("A=1\nJOBS_MAIL_PASSWORD='old'\nB=2\n", "A=1\nJOBS_MAIL_PASSWORD=new\nB=2\n"),
    ("export JOBS_MAIL_PASSWORD = \"o\nld\"\nB=2\n", "JOBS_MAIL_PASSWORD=new\nB=2\n"),
    ("#JOBS_MAIL_PASSWORD=\n", "#JOBS_MAIL_PASSWORD=\nJOBS_MAIL_PASSWORD=new\n"),
    ("MY_JOBS_MAIL_PASSWORD=x\n", "MY_JOBS_MAIL_PASSWORD=x\nJOBS_MAIL_PASSWORD=new\n"),
])
def test_a_variable_is_set_in_its_own_line_or_at_the_end(text, after):
    assert edit.with_variable(text, "JOBS_MAIL_PASSWORD", "new") == after


LINE = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Zl", "Zp")), max_size=20)


@given(LINE.map(str.strip))
def test_what_is_written_is_what_is_read(tmp_path_factory, value):
    from io import StringIO

    from dotenv.parser import parse_stream
    path = tmp_path_factory.getbasetemp() / "edited.ini"
    path.write_text(edit.with_option(BEFORE, "mail", "host", value), encoding="utf-8")
    assert read_ini(str(path), [])["mail"]["host"][0] == value
    text = edit.with_variable("A=1\n", "JOBS_X", value)
    assert {each.key: each.value for each in parse_stream(StringIO(text))} == {"A": "1",
                                                                               "JOBS_X": value}
