"""`config set`: one line of config.ini, checked before a byte is written."""
from __future__ import annotations

import os
import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs_lib.commands._config_set import with_option
from jobs_lib.config.files import read_ini
from tests.support.shell import ROOT

INI = "# my relay\n[mail]\nport = 25\n\n[core]\n; kept\n"
BEFORE = "# mine\n[core]\n\n# Where.\n#database = sqlite:///var/jobs.db\n[mail]\nhost = a\n"


def mode(path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("text, change, after", [
    (BEFORE, ("mail", "host", "b"), BEFORE.replace("host = a", "host = b")),
    (BEFORE, ("mail", "host", ""), BEFORE.replace("host = a", "host =")),
    # below the example's own line
    (BEFORE, ("core", "database", "sqlite:///x.db"),
     BEFORE.replace("jobs.db\n", "jobs.db\ndatabase = sqlite:///x.db\n")),
    (BEFORE, ("mail", "port", "25"), BEFORE.replace("[mail]\n", "[mail]\nport = 25\n")),
    (BEFORE, ("dns", "mx_hosts", "mx.example"), BEFORE + "\n[dns]\nmx_hosts = mx.example\n"),
    ("", ("mail", "host", "b"), "[mail]\nhost = b\n"),
    # a value over several lines goes as a whole, a comment within it stays
    ("[dns]\nmx_hosts =\n  a,\n  # mine\n  b\ntimeout = 5s\n", ("dns", "mx_hosts", "c"),
     "[dns]\nmx_hosts = c\n  # mine\ntimeout = 5s\n"),
    ("[mail]\r\nhost = a\r\n", ("mail", "port", "25"), "[mail]\r\nport = 25\r\nhost = a\r\n"),
    ("[mail]\nHost=a", ("mail", "host", "b"), "[mail]\nhost = b\n"),
], ids=range(9))
def test_only_its_own_line_changes(text, change, after):
    assert with_option(text, *change) == after


LINE = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Zl", "Zp")), max_size=20)


@given(LINE.map(str.strip))
def test_what_is_written_is_what_is_read(tmp_path_factory, value):
    path = tmp_path_factory.getbasetemp() / "edited.ini"
    path.write_text(with_option(BEFORE, "mail", "host", value), encoding="utf-8")
    assert read_ini(str(path), [])["mail"]["host"][0] == value


def test_it_changes_that_line_alone_and_says_where(line):
    path = line.ini(INI)
    path.chmod(0o640)
    answer = line("config", "set", "mail.port", "587")
    assert answer == (0, f"[mail] port = 587 ({path})\n", "")
    assert path.read_text() == INI.replace("25", "587")
    assert mode(path) == 0o640
    assert line("config", "set", "mail.username", "").code == 0
    assert "\nusername =\n" in path.read_text()


# R63
@pytest.mark.parametrize("where, value, said, code", [
    ("mail.port", "abc", "expected a whole number, 1-65535 (nothing was changed)", 78),
    ("core.lock", "database", "no locks of that kind; expected file (nothing was changed)", 78),
    ("core.secret_key", "short", "[core] secret_key = ...: expected at least 32 characters", 78),
    ("retry_forwards.schedule", "61 * * * *", "[retry_forwards] schedule", 78),
    ("mial.port", "25", "there is no section [mial]; did you mean 'mail'?", 2),
    ("mail.prot", "25", "[mail] has no option 'prot'; did you mean 'port'?", 2),
    ("mail", "25", "expected SECTION.OPTION, such as mail.host, not 'mail'", 2),
    ("check_domains.domain", "a.example", "domain is about one run", 78),
    ("tables.nothing", "x", "[tables] nothing: there is no such option", 78),
    ("mail.per_hour", "1\n2", "expected one line (nothing was changed)", 78),
])
def test_what_the_loader_would_refuse_changes_nothing(line, where, value, said, code):
    path = line.ini(INI)
    answer = line("config", "set", where, value)
    assert answer.code == code
    assert said in answer.err
    assert value not in answer.err or where != "core.secret_key"
    assert path.read_text() == INI
    assert sorted(each.name for each in line.folder.iterdir()) == ["config.ini"]


def test_a_secret_is_asked_for_and_makes_the_file_private(line):       # R71
    path = line.ini("[mail]\npassword = old one\nport = 25\n")
    path.chmod(0o644)
    (line.folder / "typed").write_text("new 'secret'\n")
    with open(line.folder / "typed") as typed:
        answer = line("config", "set", "mail.password", stdin=typed)
    assert answer.code == 0
    assert "new 'secret'" not in answer.out + answer.err
    assert path.read_text() == "[mail]\npassword = new 'secret'\nport = 25\n"
    assert mode(path) == 0o600
    (line.folder / "typed").write_text("\n")           # it stays as it is
    with open(line.folder / "typed") as typed:
        answer = line("config", "set", "mail.password", stdin=typed)
    assert answer == (0, "mail.password: no value was given; nothing was changed.\n", "")
    assert path.read_text() == "[mail]\npassword = new 'secret'\nport = 25\n"
    answer = line("config", "set", "mail.password", "seen")
    assert "other users of this machine can see a command line" in answer.err
    assert "seen" not in answer.out
    assert "password = seen\n" in path.read_text()


def test_what_wins_over_the_file_is_to_be_changed_there(line):
    path = line.ini(INI)
    answer = line("config", "set", "mail.port", "587", JOBS_MAIL_PORT="26")
    assert (answer.code, "JOBS_MAIL_PORT wins over config.ini" in answer.err) == (78, True)
    (line.folder / ".env").write_text("JOBS_MAIL_PASSWORD=x\n")
    answer = line("config", "set", "mail.password", "y")
    assert (answer.code, ".env line 1 wins over config.ini" in answer.err) == (78, True)
    assert path.read_text() == INI


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_root_is_sent_to_the_owner_of_the_installation(line):        # R63
    path = line.ini(INI)
    for each in (path, line.folder):
        os.chown(each, 65534, 65534)
    answer = line("config", "set", "mail.port", "587")
    assert answer.code == 2
    assert "this installation belongs to" in answer.err
    assert f"{ROOT}/jobs.py" in answer.err
    assert path.read_text() == INI
