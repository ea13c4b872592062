"""`config show`, `check`, `example`: what holds and why, what is wrong, a new file."""
from __future__ import annotations

import json
import re

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
    # of one section, and what is wrong in it
    line.ini("[mail]\nport = x\n[spool]\ndir = /spool\n")
    out = line("config", "show", "spool").out
    assert "dir = /spool" in out
    assert "[mail]" not in out
    answer = line("config", "show", JOBS_MAIL_PASSWORD="", JOBS_MAIL_PORT="x")
    assert answer.code == 78
    assert "  environment port = x" in answer.out
    assert "[mail] port = 'x': expected a whole number" in answer.err


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


# check

def test_a_configuration_in_order_says_so(line):
    path = line.ini(FINE)
    assert line("config", "check") == (0, f"{path} is in order.\n", "")


def test_check_tells_every_problem_of_every_section_and_job(line):      # R63
    path = line.ini("""\
[core]
budget = 4
timezone = Europe/Berln
[mail]
port = 99999
hots = relay.example.org
a line without an equals sign
[mial]
port = 25
[personas]
porter = porter@example.org
[tables]
user = members
[retry_forwards]
delays = 1h, soon
schedule = 61 * * * *
""")
    answer = line("config", "check", JOBS_MAIL_PER_HOUR="many", JOBS_MAIL_PASWORD="x")
    assert answer.code == 78
    head, *said = answer.err.replace(str(path), "FILE").splitlines()
    assert head == "jobs.py: 12 problems in the configuration:"
    assert [each.strip() for each in said] == ALL_TOLD


ALL_TOLD = """\
FILE line 7: expected option = value in [mail]
[mial]: there is no such section; did you mean 'mail'? (FILE line 8)
[tables] user: there is no such option; did you mean 'users'? (FILE line 13)
[core] timezone = 'Europe/Berln': expected UTC or a zone such as Europe/Berlin; did you mean \
'Europe/Berlin'? (FILE line 3)
[core] budget = '4': expected a duration with its unit, such as 90d, 36h, 15m or 30s (FILE line 2)
[mail] hots: there is no such option; did you mean 'host'? (FILE line 6)
[mail] pasword: there is no such option; did you mean 'password'? (variable JOBS_MAIL_PASWORD)
[mail] port = '99999': expected a whole number, 1-65535 (FILE line 5)
[mail] per_hour = 'many': expected a whole number, 1-10000000, or off (environment variable \
JOBS_MAIL_PER_HOUR)
[personas] porter = 'porter@example.org': expected Name <address>, such as Porter \
<porter@example.org> (FILE line 11)
[retry_forwards] schedule = '61 * * * *': minute '61': expected 0-59, '*', a range, a list, or a \
step such as */5 (FILE line 16)
[retry_forwards] delays = '1h, soon': 'soon': expected a duration with its unit, such as 90d, 36h, \
15m or 30s (FILE line 15)
""".splitlines()


def test_what_migrate_would_run_can_be_read_before_there_is_a_file(line):
    line.ini("[core]\ndatabase = sqlite:///new.db\nprefix = bj_\n")
    answer = line("migrate", "--dry-run")
    assert (answer.code, answer.out.count('CREATE TABLE "bj_') > 30) == (0, True)
    assert not (line.folder / "new.db").exists()
    line("migrate")
    assert line("migrate", "--dry-run").out == "-- the schema is up to date: nothing to run\n"


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
    (FINE.replace("[mail]", "[mail]\nport = 465\nsecurity = tls"), {}, None),
    (FINE + "[core]\ngrace = 10s\n[retry_forwards]\nbudget = 50s\n", {},
     "[retry_forwards] or [core] budget, and grace, are 60 seconds together: it sends nothing"),
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
