"""`config show`, `check`, `example`: what holds and why, what is wrong, a new file."""
from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import pytest

from jobs_lib import catalogue
from jobs_lib.config import settings

FINE = """\
[mail]
domain = alias.example
from = notices@alias.example
[personas]
porter = Porter <porter@alias.example>
overflow = Overflow <overflow@alias.example>
security = Security <security@alias.example>
postmaster = Postmaster <postmaster@alias.example>
[archive]
store = archives
[dns]
mx_hosts = mx.alias.example
"""


# show

def test_show_tells_every_value_and_what_set_it(line):
    line.ini("[mail]\nhost = relay.example.org\nport = 25\n[retry_forwards]\ndelays =\n    1h,\n   "
             " 2h\n")
    (line.folder / ".env").write_text("\nJOBS_MAIL_PORT=26\nJOBS_MAIL_PASSWORD=hunter2\n")
    answer = line("config", "show", JOBS_MAIL_USERNAME="me")
    assert answer.code == 0
    lines = answer.out.splitlines()
    for expected in ("  line 2      host = relay.example.org", "  .env 2      port = 26",
                     "  .env 3      password = ********", "  environment username = me",
                     "  default     security = starttls", "  line 5      delays = 1h, 2h"):
        assert expected in lines
    # a long path has its own line
    assert f"state_dir = {line.folder}/var/state" in " ".join(answer.out.split())
    names = sum(len(known) for known in settings.SECTIONS.values())
    names += sum(not option.argument for job in catalogue.load_all()
                 for option in settings.job_options(job).values())
    assert sum(bool(re.match(r"  \S.{11}\w+ =", text)) for text in lines) == names


def test_show_of_one_section(line):
    line.ini("[mail]\nhost = relay.example.org\n[spool]\ndir = /spool\n")
    out = line("config", "show", "spool").out
    assert "dir = /spool" in out
    assert "[mail]" not in out
    assert "schedule = " in line("config", "show", "retry_forwards").out


@pytest.mark.parametrize("words", [["config", "show"], ["config", "show", "--json"],
                                   ["config", "check"]], ids=" ".join)
def test_no_secret_is_shown(line, words):
    line.ini("""\
[core]
database = mysql://porter:hunter2@db.example.org/porter
secret_key = hunter2
app_url = https://me:hunter2@example.org
[mail]
password = hunter2
srs_secret = hunter2
port = hunter
""")
    answer = line(*words, JOBS_MAIL_PASSWORD="hunter2")
    assert answer.code == 78
    assert "hunter2" not in answer.out + answer.err
    if words[1] == "show":
        assert "mysql://porter:********@db.example.org/porter" in answer.out


def test_show_as_json(line):
    line.ini("[mail]\nhost = relay.example.org\npassword = hunter2\n[tables]\nusers = members\n")
    found = line.json("config", "show")
    assert found["path"] == str(line.folder / "config.ini")
    mail = found["sections"]["mail"]
    assert mail["host"] == {"value": "relay.example.org", "origin": "file", "default": "localhost",
                            "place": f"{line.folder}/config.ini line 2"}
    assert mail["password"]["value"] == "********"
    assert mail["port"]["origin"] == "default"
    assert found["sections"]["tables"]["users"]["value"] == "members"
    assert set(found["sections"]) == {*settings.SECTIONS, *catalogue.names(), "tables"}


def test_show_also_shows_what_is_wrong(line):
    line.ini("[mail]\nport = x\n")
    answer = line("config", "show")
    assert answer.code == 78
    assert "  line 2      port = x" in answer.out
    assert "[mail] port = 'x': expected a whole number" in answer.err
    assert line("config", "show", "core").code == 0


# check

def test_a_configuration_in_order_says_so(line):
    path = line.ini(FINE)
    assert line("config", "check") == (0, f"{path} is in order.\n", "")


def test_check_tells_every_problem_of_every_section_and_job(line):      # R63
    line.ini("nonsense\n[core]\nbudget = x\n[mail]\nport = x\n[retry_forwards]\ndelays = x\n"
             "[purge_failed_emails]\nkeep = 0d\n[nowhere]\n")
    answer = line("config", "check")
    assert answer.code == 78
    lines = answer.err.splitlines()
    assert lines[0] == "jobs.py: 6 problems in the configuration:"
    assert len(lines) == 7


def test_a_file_without_any_section_is_reported_in_one_line(line):
    line.ini("".join(f"<p>line {number}</p>\n" for number in range(130)))
    answer = line("config", "check")
    assert answer.code == 78
    assert answer.err == (f"jobs.py: {line.folder}/config.ini line 1: expected a [section] first, "
                          "130 such lines\n")


def test_what_migrate_would_run_can_be_read_before_there_is_a_file(line):
    line.ini("[core]\ndatabase = sqlite:///new.db\nprefix = bj_\n")
    answer = line("migrate", "--dry-run")
    assert (answer.code, answer.out.count('CREATE TABLE "bj_') > 30) == (0, True)
    assert not (line.folder / "new.db").exists()
    line("migrate")
    assert line("migrate", "--dry-run").out == "-- the schema is up to date: nothing to run\n"


def test_check_refuses_a_lock_that_the_database_does_not_have(line):
    path = line.ini(f"{FINE}[core]\nlock = database\n")
    answer = line("config", "check")
    assert answer.code == 78
    assert answer.err == ("jobs.py: [core] lock = 'database': this database has no locks of that "
                          f"kind; expected file ({path} line 14)\n")
    line.ini(f"{FINE}[core]\nlock = database\ndatabase = mysql://me:x@localhost/name\n")
    assert line("config", "check").code == 0


@pytest.mark.parametrize("text, environment, said", [
    ("[mail]\n", {}, "[mail] from is not set"),
    ("[mail]\n", {},
     "[mail] domain = localhost. Forwards leave with a sender that no other host can reply to"),
    (re.sub(r"(?s)\[personas\].*(?=\[archive\])", "", FINE), {}, None),
    (FINE, {"JOBS_MIAL_HOST": "x"},
     "JOBS_MIAL_HOST sets no option; did you mean 'JOBS_MAIL_HOST'?"),
    (FINE.replace("[mail]", "[mail]\nhost = relay.example.org\nsecurity = none"), {},
     "[mail] security = none: mail goes to relay.example.org in clear"),
    (FINE.replace("[mail]", "[mail]\nport = 465"), {},
     "[mail] port 465 goes with security = tls, not starttls"),
    (FINE.replace("[mail]", "[mail]\nport = 587\nsecurity = tls"), {},
     "[mail] port 587 goes with security = starttls, not tls"),
    (FINE.replace("[mail]", "[mail]\nport = 465\nsecurity = tls"), {}, None),
    (FINE + "[core]\ngrace = 10s\n[retry_forwards]\nbudget = 50s\n", {},
     "[retry_forwards] or [core] budget, and grace, are 60 seconds together: it sends nothing"),
    (FINE + "[core]\nbudget = 15s\ngrace = 5s\n", {}, "[retry_webhooks] or [core] budget"),
    (FINE + "[core]\nbudget = 40s\ngrace = 30s\n", {}, None),
    (FINE + "[purge_sessions]\nschedule = 0 3 1 * mon\n", {},
     "(1) and weekday (mon) are both restricted"),
    (FINE + "[core]\ngrace = 10s\n[purge_failed_emails]\nbudget = 50s\n", {}, None),
    (("[mail]\ntransport = maildir\n[archive]\nstore = archives\n"
     "[check_domains]\nenabled = no\n"), {}, None),
    (FINE + "[core]\ndatabase = mysql://me@db.example.org/name\n", {}, None),
    (FINE + "[core]\ndatabase = mysql://me@db.example.org/name?tls=off\n", {},          # R71
     ("[core] database: ?tls=off to db.example.org. Passwords and people's data cross the network "
      "in clear")),
    (FINE + "[core]\ndatabase = mysql://me@db.example.org/name?tls=on\n", {},
     "?tls=on to db.example.org. Anyone in between can read along"),
    (FINE + "[core]\ndatabase = mysql://me@127.0.0.1/name?tls=off\n", {}, None),
    ("[mail]\n", {}, ("[check_domains] require names mx. No domain is checked until it is set. "
     "-> Set [dns] mx_hosts, or leave it out of require.")),
])
def test_check_warns_of_what_is_rarely_meant(line, text, environment, said):
    line.ini(text)
    answer = line("config", "check", **environment)
    _, *warnings = " ".join(answer.out.split()).split("warning: ")
    if said is None:
        assert warnings == []
        assert answer.out.endswith(" is in order.\n")
    else:
        assert any(said in words for words in warnings), answer
        assert "is in order" not in answer.out
        if answer.code == 0:
            assert re.search(r"\nNo errors, (1 warning|\d+ warnings)\.\n$", answer.out)


@pytest.mark.parametrize("words", [["config", "check"], ["run-due"], ["purge_sessions"],
                                   ["doctor"]])
def test_a_named_pipe_is_no_configuration_and_is_not_waited_for(line, words):
    os.mkfifo(line.folder / "pipe")
    answer = line("--config", "pipe", *words)
    shown = " ".join((answer.out + answer.err).split())
    assert "pipe is not a file: name your config.ini" in shown
    assert answer.code == (1 if words == ["doctor"] else 78)


def test_a_configuration_that_a_shell_passes_on_is_read(line):
    ours, theirs = os.pipe()
    os.write(theirs, b"[mail]\nport = 2525\n")
    os.close(theirs)
    done = subprocess.run([sys.executable, str(line.script), "--config", f"/dev/fd/{ours}",
                           "config", "show", "mail"], pass_fds=[ours], capture_output=True,
                          text=True, timeout=60)
    os.close(ours)
    assert "port = 2525" in done.stdout


# example

def test_the_example_is_valid_and_says_nothing_but_the_defaults(line):
    text = line("config", "example").out
    line.ini(text)
    given = json.loads(line("config", "show", "--json").out)["sections"]
    assert {option["origin"] for options in given.values()
            for option in options.values()} == {"default"}


def test_every_option_of_the_example_can_be_taken_as_it_stands(line):
    text = line("config", "example").out
    active = [re.sub(r"^#(?=[a-z]|    )", "", words) for words in text.splitlines()
              if words not in ("#users = members", "#users.email = mail")]
    line.ini("\n".join(active))
    assert line("config", "check").code == 0
    given = line.json("config", "show")["sections"]
    for options in given.values():
        for name, option in options.items():
            # shown once for all jobs
            assert option["origin"] == "file" or name in settings.JOB_ALERTS, name
            if not option["value"].startswith("/"):          # a path, which is shown in full
                assert option["value"] == option["default"], name


def test_json_is_refused_where_it_says_nothing(line):
    answer = line("config", "example", "--json")
    assert (answer.code, answer.out) == (2, "")
    assert "config example: --json goes with show and check only" in answer.err


def test_check_as_json_lists_errors_and_warnings(line):         # R63, R77
    line.ini("[core]\nlock = flie\n[export]\nkeep = 3\n[mail]\nport = 465\nsecurity = none\n")
    answer = line("config", "check", "--json")
    found = json.loads(answer.out)
    assert (answer.code, answer.err, found["path"]) == (78, "", str(line.folder / "config.ini"))
    assert len(found["errors"]) == 2
    assert "[core] lock = 'flie'" in found["errors"][0]
    assert {finding["level"] for finding in found["warnings"]} == {"warning"}
    assert any("465" in finding["what"] for finding in found["warnings"])
    line.ini("")
    answer = line("config", "check", "--json")
    assert (answer.code, json.loads(answer.out)["errors"]) == (0, [])


@pytest.mark.parametrize("section, option", [("core", "secret_key"), ("mail", "srs_secret")])
def test_a_key_that_can_be_guessed_is_a_mistake(line, section, option):        # R71
    line.ini(f"{FINE}[{section}]\n{option} = {'k' * 31}\n" if section == "core" else
             FINE.replace("[mail]", f"[mail]\n{option} = {'k' * 31}"))
    line("migrate")
    for words in (["config", "check"], ["retry_forwards"]):
        answer = line(*words)
        assert answer.code == 78
        assert f"[{section}] {option} = ...: expected at least 32 characters" in answer.err
        assert "secrets.token_hex(32)" in answer.err
        assert "k" * 31 not in answer.err
    line.ini((line.folder / "config.ini").read_text().replace("k" * 31, "k" * 32))
    assert line("config", "check").code == 0


@pytest.mark.parametrize("given",
                         ["mail.password=hunter2", "core.database=mysql://me:hunter2@localhost/x",
                          "core.secret_key=" + "hunter2" * 5,
                          "alerts.webhook=https://hooks.example/hunter2",
                          "worker.redis=redis://:hunter2@localhost/0"])
def test_a_secret_is_not_taken_from_the_command_line(line, given):              # R71
    line.ini(FINE)
    answer = line("retry_forwards", "--set", given)
    name = given.partition("=")[0]
    assert answer.code == 2
    why = "a secret in a command line is seen by every user of this machine"
    assert f"--set {name}: {why}" in answer.err
    assert f"JOBS_{name.replace('.', '_').upper()} in .env" in answer.err
    assert "hunter2" not in answer.err


def test_what_holds_no_secret_may_be_set_by_word(line):
    line.ini(FINE)
    line("migrate")
    for given in ("core.database=sqlite:///other.db", "mail.password=",
                  "worker.redis=redis://localhost:6379/1"):
        assert line("purge_sessions", "--dry-run", "--set", given).code in (0, 1)
