"""config.ini, .env, the environment, `config`. Each mistake is in test_mistakes.py."""
from __future__ import annotations

import json
import re
import textwrap
from datetime import timedelta

import pytest

from tests.house.source import ROOT
from tests.support.product import clock

pytestmark = pytest.mark.quick
FINE = """\
[core]
app_url = https://mail.alias.example
[mail]
domain = alias.example
from = notices@alias.example
[archive]
store = archives
[alerts]
email = you@alias.example
"""


@pytest.fixture
def shown(here):
    """`shown("mail", ini=...)`: what `config show` says of a section, {option: {value, origin,
    place, default}}."""
    def show(section: str, **how) -> dict:
        answer = here("config", "show", "--json", **how)
        assert answer.code == 0, answer
        return json.loads(answer.out)["sections"][section]
    return show


@pytest.mark.parametrize("text", [
    b"[mail]\nhost = a\nport = 26\n", b"[mail]\r\nhost = a\r\nport = 26\r\n",           # R65
    b"[mail]\rhost = a\rport = 26\r", b"\xef\xbb\xbf[mail]\nhost = a\nport = 26",
    b"\n  \n# about\n; about\n [mail]\nHost=a\n\nPORT  =26\n",
    b"[mail]\nhost = a\n[core]\n[mail]\nport = 26\n"])
def test_line_ends_marks_and_spaces_do_no_harm(tmp_path, shown, text):
    (tmp_path / "config.ini").write_bytes(text)
    mail = shown("mail")
    assert (mail["host"]["value"], mail["port"]["value"]) == ("a", "26")


def test_a_value_is_all_that_follows_the_sign_and_may_go_on_in_the_next_lines(tmp_path, shown):
    # in .env as python-dotenv reads it
    (tmp_path / ".env").write_bytes(
        b"\xef\xbb\xbf# about\r\nJOBS_MAIL_HOST=plain\r\n\r\n"
        b"export JOBS_MAIL_PASSWORD='single $HOME # quoted'\r\nAPP_KEY=base64:x\r\n")
    mail = shown("mail", ini="[mail]\nusername = x=y;z#%(b)s%% \"€\" $HOME\nca_file =\n")
    assert [mail[name]["value"] for name in ("username", "ca_file", "host")] == [
        'x=y;z#%(b)s%% "€" $HOME', "", "plain"]
    assert mail["password"]["place"].endswith(".env line 4")
    assert shown("retry_forwards", ini="[retry_forwards]\ndelays = 1h,\n    2h,\n# mine\n\t3h\n")[
        "delays"]["value"] == "1h, 2h, 3h"


@pytest.mark.parametrize("name, text, said", [
    ("config.ini", "[m]\na = b\n".encode("utf-16"), "line 1 is not in UTF-8: save it as UTF-8"),
    ("config.ini", b"[mail]\nhost = a\nfrom = caf\xe9\n", "line 3 is not in UTF-8: save it as"),
    (".env", b"\nJOBS_A\n", "line 2: expected NAME=value; put a value with spaces or quotes into"),
    (".env", b"JOBS_B=1\nJOBS_A='open\n", "line 2: expected NAME=value")])
def test_a_file_that_cannot_be_read_is_reported_and_left(tmp_path, here, name, text, said):  # R63
    (tmp_path / name).write_bytes(text)
    for words in ("check", "set mail.host b"):
        answer = here("config", *words.split())
        assert (answer.code, said in answer.err) == (78, True)
    assert (tmp_path / name).read_bytes() == text


@pytest.mark.parametrize("text", [
    "[core]\nbudget = 2 H\nmax_clock_jump = OFF\n[mail]\nhost = ::1\n[alerts]\ndisk_free = 25mb",
    "[dns]\nnameservers = 192.0.2.1, 192.0.2.1:5353, 2001:db8::1, [2001:db8::1]:5353",
    "[retry_forwards]\nenabled = On\ndelays = 1h,\n    2W,",
    "[core]\ndatabase = mysql://me:a@b/c:d?e@host:3306/name",
    "[core]\ndatabase = mariadb://me@localhost/name?unix_socket=/run/s.sock&ssl_ca=/etc/ca.pem",
    "[tables]\nusers = aliases\naliases = users"])
def test_values_of_every_kind_that_are_taken(here, text):
    answer = here("config", "check", ini=f"{text}\n")
    assert answer.code == 0, answer


def test_each_place_wins_over_those_below_it(service):       # R63
    """What a purge would delete says which."""
    now, name = clock.now(), "JOBS_PURGE_SESSIONS_IDLE"
    service.knows_rules("purge_sessions")
    service.db.insert_all("sessions", [
        {"user_id": 1, "token_hash": f"{age:064x}", "created_at": now - timedelta(days=80),
         "last_seen_at": now - timedelta(days=age, hours=1), "expires_at": now + timedelta(days=9)}
        for age in range(60)])

    def idle(*words: str, **environment: str):
        """From how many days on a session counts as idle; the exit code if it is refused."""
        done = service("purge_sessions", "--dry-run", "--json", *words, **environment)
        return 60 - json.loads(done.out)["counts"]["deleted"] if done.code == 0 else done.code

    def dotenv(value: str) -> None:
        (service.folder / ".env").write_text(f"{name}={value}\n")
    assert idle() == 30
    service.configure("purge_sessions", idle="21d")
    assert idle() == 21
    dotenv("22d")
    assert idle() == 22
    assert idle(**{name: "23d"}) == 23
    before = (service.folder / "config.ini").read_bytes()
    assert idle("--set", "idle=24d", **{name: "23d"}) == 24
    assert (service.folder / "config.ini").read_bytes() == before
    service.db.execute("DELETE FROM {job_state}")               # no rule is known any more
    held = " ".join(service.run("test", "purge_sessions", "--live", "--set", "idle=1d").split())
    assert "leave --set out. If it is meant, `jobs.py purge_sessions --set idle=1d --yes`" in held
    assert service.run("test", "purge_sessions", "--yes", "--set", "idle=1d").endswith(
        "test purge_sessions --live --set idle=1d --yes\n")
    # a wrong one is refused from each place; an empty variable is a value, too
    assert [idle("--set", "idle=soon"), idle(**{name: "soon"}), idle(**{name: ""})] == [78] * 3
    dotenv("soon")
    assert idle() == 78


def test_show_tells_every_value_and_what_set_it(here, tmp_path, shown):
    (tmp_path / ".env").write_text("\nJOBS_MAIL_PORT=26\nJOBS_MAIL_PASSWORD=hunter2\n")
    text = ("[mail]\nhost = relay.example.org\nport = 25\n[tables]\nusers = members\n"
            "[core]\nstate_dir = there/state\nlog_dir = /var/log/jobs\n")
    lines = here("config", "show", ini=text, JOBS_MAIL_USERNAME="me").out.splitlines()
    for expected in ("  line 2      host = relay.example.org", "  .env 2      port = 26",
                     "  .env 3      password = ********", "  environment username = me",
                     "  default     security = starttls", "  line 5      users = members"):
        assert expected in lines
    assert shown("mail")["host"] == {"value": "relay.example.org", "origin": "file",
                                     "default": "localhost",
                                     "place": f"{tmp_path}/config.ini line 2"}
    core = shown("core")            # paths count from the folder of the file
    assert [core[name]["value"] for name in ("state_dir", "log_dir")] == [
        f"{tmp_path}/there/state", "/var/log/jobs"]
    assert list(shown("tables")) == ["users"]
    # what the environment sets there, too
    assert shown("tables", JOBS_TABLES_USERS="people")["users"]["origin"] == "environment"
    # of one section, whatever is wrong elsewhere; and what is wrong in it
    assert "[mail]" not in here("config", "show", "spool").out
    answer = here("config", "show", JOBS_MAIL_PORT="x")
    assert (answer.code, "  environment port = x" in answer.out) == (78, True)
    assert "[mail] port = 'x': expected a whole number" in answer.err


@pytest.mark.parametrize("url, shows", [
    ("mysql://user:hunter2@host:3306/name", "mysql://user:********@host:3306/name"),
    ("mysql://user:hunter2@t/e:r?2@host/name?unix_socket=/s",
     "mysql://user:********@host/name?unix_socket=/s"),
    ("mysql://user:x://hunter2@host/name", ":********@host/name"),
    # as a shared host names those who may use FTP
    ("mysql://me@a.example:hunter2@host/name", "mysql://me@a.example:********@host/name"),
    ("mysql://user:hunter2/name", "mysql://user:********"),                 # the host was forgotten
    ("mysql://user@host/name?password=hunter2", "mysql://user@host/name?********"),
    ("mysql://host:3306/name", "mysql://host:3306/name"),
    ("sqlite:////home/me@work/jobs.db", "sqlite:////home/me@work/jobs.db")])
def test_no_secret_is_shown(here, url, shows):         # R72
    text = (f"[core]\ndatabase = {url}\nsecret_key = hunter2\napp_url = https://me:hunter2@a.example\n"
            "[mail]\npassword = hunter2\nsrs_secret = hunter2\nport = hunter\n"
            "[worker]\nredis = redis://:hunter2@host\n")
    for words in (["show"], ["show", "--json"], ["check"], ["check", "--json"]):
        answer = here("config", *words, ini=text, JOBS_MAIL_PASSWORD="hunter2")
        assert (answer.code, "hunter2" in answer.out + answer.err) == (78, False), words
        assert words[0] == "check" or shows in answer.out


@pytest.mark.parametrize("change, said", [
    ("", None), (FINE, "[mail] from is not set"), (FINE, "nobody is alerted when a job fails"),
    (FINE, "link to your app, and exports wait unless"), ("chmod 644", "mode 644"),
    (FINE, "[mail] domain = localhost. Forwards get a sender that no other host can reply"),
    ("[mail]\nhost = relay.example.org\nsecurity = none", "goes to relay.example.org unencrypted"),
    ("[mail]\nport = 465", "[mail] port 465 needs security = tls, not starttls"),
    ("[mail]\nport = 465\nsecurity = tls", None), ("[mail]\ntransport = maildir", None),
    ("[mail]\npassword = 'hunter2'", "[mail] password: the quotes are part of the value: remove"),
    ("[check_jobs]\nenabled = no", "[check_jobs] enabled = no: nobody is alerted")])
def test_check_warns_of_what_is_rarely_meant(here, tmp_path, change, said):
    if change.startswith("chmod"):                                                           # R72
        change = (tmp_path / "config.ini").chmod(0o644) or ""
    answer = here("config", "check", ini="[mail]\n" if change == FINE else f"{FINE}{change}\n")
    warnings = re.split("warning: |problem: ", " ".join(answer.out.split()))[1:]
    if said is None:
        assert (answer.code, warnings) == (0, [])
    else:
        assert any(said in words for words in warnings), answer
        assert re.search(r"\nNo invalid option, (1 finding|\d+ findings)\.\n$", answer.out)


def test_the_least_that_the_documents_tell_to_set_has_no_warning(here):           # R63
    text = (ROOT / "docs" / "install.md").read_text(encoding="utf-8")
    block = textwrap.dedent(re.search(r"(?s)( +)```\n( +\[core\].*?) +```", text)[2])
    answer = here("config", "check", ini=block)
    assert (answer.code, answer.out.endswith("/config.ini is in order.\n")) == (0, True), answer
    short = here("config", "example", "--short").out
    assert all(line.partition("= ")[0] in short for line in block.splitlines())


def test_without_a_file_the_first_word_is_that(here, monkeypatch):
    assert here("--config", "none.ini", "run-due")[::2] == (78,
        "jobs.py: there is no file none.ini: name your config.ini with --config or JOBS_CONFIG\n")
    monkeypatch.delenv("JOBS_CONFIG")
    assert f": There is no {ROOT}/config.ini: the defaults apply" in here("config", "check").out


def test_check_as_json_lists_errors_and_warnings(here):         # R63, R77
    answer = here("config", "check", "--json", JOBS_MIAL_HOST="x",
                  ini="[core]\nlock = flie\n[export]\nkeep = 3\n[mail]\nport = 465\n")
    found = json.loads(answer.out)
    assert (answer.code, answer.err, len(found["errors"])) == (78, "", 2)
    for words in ("465", "JOBS_MIAL_HOST sets no option; did you mean 'JOBS_MAIL_HOST'?"):
        assert any(words in finding["what"] for finding in found["warnings"]), found
    answer = here("config", "check", "--json", ini="")
    assert (answer.code, json.loads(answer.out)["errors"]) == (0, [])


def test_the_example_is_valid_and_says_nothing_but_the_defaults(here):
    text = here("config", "example").out
    given = json.loads(here("config", "show", "--json", ini=text).out)["sections"]
    assert {option["origin"] for options in given.values()
            for option in options.values()} == {"default"}
    # and each can be taken as it is
    active = [re.sub(r"^#(?=[a-z]|    )", "", each) for each in text.splitlines()
              if each not in ("#users = members", "#users.email = mail")]
    answer = here("config", "show", "--json", ini="\n".join(active))
    options = [option for section in json.loads(answer.out)["sections"].values()
               for option in section.values()]
    assert (answer.code, [option for option in options if option["value"] != option["default"]
                          and not option["value"].startswith("/")]) == (0, [])  # a path in full
    assert sum(option["origin"] == "file" for option in options) > 80


BEFORE = "# mine\n[core]\n\n# Where.\n#database = sqlite:///var/jobs.db\n[mail]\nhost = a\n"


@pytest.mark.parametrize("text, words, after", [
    (BEFORE, "mail.host b", BEFORE.replace("host = a", "host = b")),
    (BEFORE, "mail.username ", BEFORE.replace("[mail]\n", "[mail]\nusername =\n")),
    # below the example's own line
    (BEFORE, "core.database sqlite:///x.db",
     BEFORE.replace("jobs.db\n", "jobs.db\ndatabase = sqlite:///x.db\n")),
    (BEFORE, "dns.mx_hosts mx.example", BEFORE + "\n[dns]\nmx_hosts = mx.example\n"),
    ("", "mail.host b", "[mail]\nhost = b\n"),
    ("[mail]\r\nhost = a\r\n", "mail.port 25", "[mail]\r\nport = 25\r\nhost = a\r\n"),
    ("[mail]\nHost=a", "mail.host b", "[mail]\nhost = b\n"),
    ("", "mail.username x=y;z#%(b)s \"€\"", "[mail]\nusername = x=y;z#%(b)s \"€\"\n")])
def test_set_changes_its_own_line_alone_and_says_where(tmp_path, here, text, words, after):
    path = tmp_path / "config.ini"
    path.write_bytes(text.encode())
    path.chmod(0o640)
    name, _, value = words.partition(" ")
    section, _, option = name.partition(".")
    assert here("config", "set", name, value) == (
        0, f"[{section}] {option} = {value} ({path})\n", "")
    assert path.read_bytes().decode() == after
    assert path.stat().st_mode & 0o777 == 0o640


def test_set_says_what_is_rarely_meant_with_the_new_value(here):        # R63
    said = here("config", "set", "mail.security", "none", ini="[mail]\nhost = mx.example\n").out
    assert ("mx.example unencrypted" in said, "[mail] from" in said) == (True, False), said


@pytest.mark.parametrize("name, value", [    # R63
    ("mail.port", "abc"), ("core.lock", "database"), ("core.secret_key", "short"),
    ("retry_forwards.schedule", "61 * * * *"), ("check_domains.domain", "a.example"),
    ("mail.per_hour", "1\n2")])
def test_what_the_loader_would_refuse_changes_nothing(tmp_path, here, name, value):
    answer = here("config", "set", name, value, ini=BEFORE)
    assert (answer.code, "nothing was changed" in answer.err) == (78, True), answer
    assert value not in answer.err or name != "core.secret_key"
    assert (tmp_path / "config.ini").read_text() == BEFORE
    assert [each.name for each in tmp_path.iterdir()] == ["config.ini"]


def test_a_secret_is_asked_for_and_makes_the_file_private(line):       # R71
    path = line.ini("[mail]\npassword = old one\nport = 25\n")
    path.chmod(0o644)

    def answer(typed: str):
        (line.folder / "typed").write_text(typed)
        with open(line.folder / "typed") as file:
            return line("config", "set", "mail.password", stdin=file)
    done = answer("new 'secret'\n")
    assert (done.code, "new 'secret'" in done.out + done.err) == (0, False)
    assert path.read_text() == "[mail]\npassword = new 'secret'\nport = 25\n"
    assert path.stat().st_mode & 0o777 == 0o600
    nothing = answer("\n")                                     # it stays as it is
    assert (nothing.code, "nothing was changed" in nothing.err) == (2, True)
    seen = line("config", "set", "mail.password", "seen")
    assert "other users of this machine can see a command line" in seen.err
    assert ("seen" in seen.out, "password = seen\n" in path.read_text()) == (False, True)


def test_what_wins_over_the_file_or_has_several_lines_is_to_be_changed_there(tmp_path, here):
    (tmp_path / ".env").write_text("JOBS_MAIL_HOST=x\n")
    lines = "[dns]\nmx_hosts =\n  a,\n  b\n"
    for name, said in (("mail.port", "JOBS_MAIL_PORT overrides config.ini"),
                       ("mail.host", ".env line 1 overrides config.ini"),
                       ("dns.mx_hosts", "has several lines: change it in")):
        answer = here("config", "set", name, "5", ini=lines, JOBS_MAIL_PORT="26")
        assert (answer.code, said in answer.err) == (78, True)
    assert (tmp_path / "config.ini").read_text() == lines
