"""Every wrong configuration that has a message of its own: what is written, and the message.

`config check`, `doctor` and a job that needs the section say the same.
"""
from __future__ import annotations

import re

import pytest

from jobs_lib import catalogue
from jobs_lib.config import loader
from jobs_lib.doctor.config import mistakes

PLACE = re.compile(r" \([^()]*line \d+\)")
FORM = "mysql://user:password@host:3306/name"
DURATION = "expected a duration with its unit, such as 90d, 36h, 15m or 30s"
SIZE = "expected a size with its unit, such as 500KB, 25MB or 2GB"
ZERO = "expected more than 0 (0 could mean 'off' or 'everything')"
HOST = "expected a host name such as mail.example.org, without scheme or port"
SERVER = "expected an address such as 192.0.2.1 or 192.0.2.1:5353, not a name"
PORT = "expected a port of 1-65535 behind the host"
WRAPPED = "goes on in the next line, since that begins with a space; expected one line"

# (section, option, value, the message behind `[section] option = 'value': `)
VALUES = [
    # text and paths
    ("core", "state_dir", "", "expected a path"),
    ("core", "log_dir", "a\x00b", "expected printable characters only"),
    ("core", "state_dir", "~nosuch/x", ("there is no user 'nosuch' whose home folder ~ could mean: "
     "expected a path from / on, or from the folder of config.ini on")),
    ("core", "secret_key", "hunter2", "expected at least 32 characters: `python3 -c"),
    ("core", "prefix", "my-", "expected letters, digits and _"),
    ("tables", "users", "a.b.c", "expected letters, digits and _"),
    # numbers, times, switches
    ("core", "budget", "4", DURATION),
    ("core", "budget", "1h30m", DURATION),
    ("core", "budget", "0m", ZERO),
    ("core", "budget", "2d", "expected at most 1d"),
    ("core", "grace", "2h", "expected at most 1h"),
    ("core", "max_clock_jump", "1m", "expected at least 1h, or off"),
    ("archive", "keep", "0d", f"{ZERO}, or off"),
    ("archive", "keep", "99999d", "expected at most 36500d, or off"),
    ("alerts", "disk_free", "25", f"{SIZE}, or off"),
    ("alerts", "disk_free", "999999999999999GB", "expected at most 1000000GB, or off"),
    ("mail", "port", "99999", "expected a whole number, 1-65535"),
    ("mail", "port", "25 # submission",
     "expected a whole number, 1-65535; a comment needs a line of its own"),
    ("mail", "port", "'25'", "expected a whole number, 1-65535; without the quotes"),
    ("mail", "per_hour", "many", "expected a whole number, 1-10000000, or off"),
    ("purge_sessions", "enabled", "maybe", "expected yes or no"),
    ("core", "lock", "fiel", "expected file or database; did you mean 'file'?"),
    ("mail", "security", "ssl", "expected none, starttls or tls; did you mean 'tls'?"),
    ("core", "timezone", "Europe/Berln",
     "expected UTC or a zone such as Europe/Berlin; did you mean 'Europe/Berlin'?"),
    # lists
    ("retry_forwards", "delays", "", "expected at least 1, parted by commas: duration"),
    ("retry_forwards", "delays", "1h,,2h", "expected a value between two commas"),
    ("retry_forwards", "delays", "1h, soon", f"'soon': {DURATION}"),
    # schedules
    ("purge_sessions", "schedule", "* * *",
     "expected five fields (minute hour day month weekday), found 3"),
    ("purge_sessions", "schedule", "61 * * * *",
     "minute '61': expected 0-59, '*', a range, a list, or a step such as */5"),
    ("purge_sessions", "schedule", "0 0 * foo *",
     "month 'foo': expected 1-12 or jan-dec, '*', a range, a list, or a step such as */5"),
    ("purge_sessions", "schedule", "0 5-3 * * *",
     "hour '5-3': expected a range that rises, or two: 5-23,0-3"),
    ("purge_sessions", "schedule", "*/0 * * * *",
     "minute '*/0': expected a step of 1-59 after '/'"),
    ("purge_sessions", "schedule", "0 0 30 feb *",
     "day '30' with month 'feb': expected a day that one of these months has"),
    ("purge_sessions", "schedule", "@often", (
        "expected one of @hourly, @daily, @midnight, @weekly, "
     "@monthly, @yearly, @annually, or five fields")),
    # names, addresses, URLs
    ("mail", "host", "smtp://relay.example.org:25", HOST),
    ("mail", "host", "relay.example.org:25", HOST),
    ("mail", "host", "", HOST),
    ("mail", "from", "Notices", "expected an address such as notices@example.org ("),
    ("personas", "porter", "porter@example.org",
     "expected Name <address>, such as Porter <porter@example.org>"),
    ("dns", "nameservers", "ns.example.org", SERVER),
    ("dns", "nameservers", "[2001:db8::1", SERVER),
    ("dns", "nameservers", "192.0.2.1:99999", "expected a port of 1-65535 behind the address"),
    ("dns", "nameservers", "[2001:db8::1]x", "expected a port of 1-65535 behind the address"),
    ("webhooks", "allow_networks", "10.1.2.3/16",
     "expected a network such as 10.1.0.0/16, without bits behind its length"),
    ("core", "app_url", "mail.example.org", "expected a URL such as https://mail.example.org"),
    ("core", "app_url", "https://mail.example.org:99999", PORT),
    ("core", "app_url", "https://mail.example.org/%zz",
     "expected two hex digits behind each % (a % of its own is %25)"),
    ("export", "url", "https://grün.example", ("expected a URL in ASCII, a name such as "
     "grün.example as xn--grn-ioa.example")),
    ("worker", "redis", "localhost:6379",
     "expected redis://host:6379/0, rediss://... or unix:///path/redis.sock"),
    ("worker", "redis", "redis://:hunter2@localhost:x/0", PORT),
    ("worker", "broker", "http://localhost",
     "expected amqp://user:password@host:5672//, amqps://..., or redis://host:6379/0"),
    ("worker", "broker", "amqp://me:hunter2@here//;amqps://there:0//", PORT),
    # the database
    ("core", "database", "",
     "expected sqlite:///file.db or mysql://user:password@host/name"),
    ("core", "database", "postgres://me:hunter2@host/name",
     "expected sqlite:///file.db or mysql://user:password@host/name"),
    ("core", "database", "sqlite://hunter2.db",
     "expected sqlite:///file.db or sqlite:////folder/file.db"),
    ("core", "database", "mysql://me:hunter2@host", f"expected {FORM}, the name without a slash"),
    ("core", "database", "mysql://host/name", f"expected {FORM}, the name without a slash"),
    ("core", "database", "mysql://me:hunter2@host:port/name",
     f"expected a port of 1-65535 in {FORM}"),
    ("core", "database", "mysql://me:hunter2@host/name?ssl=1", (
        f"expected nothing after {FORM} but "
     "?unix_socket=/path, ?ssl_ca=/path or ?tls=off|on|ca|verify")),
    ("core", "database", "mysql://me:hunter2@host/name?tls=maybe", (
        f"expected nothing after {FORM} "
     "but ?unix_socket=/path, ?ssl_ca=/path or ?tls=off|on|ca|verify")),
    ("core", "database", "mysql://me:hunter2@host/name?tls=ca", ("expected &ssl_ca=/path with "
     "?tls=ca: the file with the authority that signed the certificate")),
    ("core", "database", "mysql://me:hunter2@host/name?tls=off&ssl_ca=/hunter2",
     "expected ?ssl_ca=/path without &tls=off, which verifies nothing: keep one of the two"),
    # lines
    ("mail", "host", "a\n port = 25", WRAPPED),
    ("retry_forwards", "delays", "1h,\n budget = 2m", WRAPPED),
]


@pytest.fixture
def said(tmp_path):
    """The messages about a config.ini with this text: each sentence without its place."""
    def say(text: str) -> list[str]:
        (tmp_path / "config.ini").write_text(text, encoding="utf-8")
        config = loader.load(None, beside=str(tmp_path), environ={})
        found = [finding.what for finding in mistakes(config, catalogue.load_all())]
        assert all("hunter2" not in sentence for sentence in found)
        return [PLACE.sub("", sentence).replace(str(tmp_path), "HERE") for sentence in found]
    return say


@pytest.mark.parametrize("section, option, value, words", VALUES)
def test_a_wrong_value_says_what_is_expected(said, section, option, value, words):      # R63
    found = [sentence for sentence in said(f"[{section}]\n{option} = {value}\n")
             if sentence.startswith(f"[{section}] {option} = ")]
    assert len(found) == 1
    assert found[0].partition(" = ")[2].partition(": ")[2].startswith(words), found


# (the whole text, every message about it)
TEXTS = [
    ("port = 25", "HERE/config.ini line 1: expected a [section] first"),
    ("[mail]\nport: 25", "HERE/config.ini line 2: expected option = value in [mail]"),
    ("[mail]\nport = 25\nPORT = 26", ("[mail] port is set twice (HERE/config.ini lines 2 "
     "and 3): keep one")),
    ("[mail]\npasword = x", "[mail] pasword: there is no such option; did you mean 'password'?"),
    ("[retry_forward]",
     "[retry_forward]: there is no such section; did you mean 'retry_forwards'?"),
    ("[tables]\nusers = shop.people",
     "[tables] users = 'shop.people': expected letters, digits and _"),
    ("[tables]\nusers = people\ndomains = people",
     "[tables] domains = people: users and domains cannot both have this name"),
    ("[tables]\nusers = Sessions",
     "[tables] users = Sessions: users and sessions cannot both have this name"),
    ("[core]\nprefix = pa_\n[tables]\nusers = pa_aliases",
     "[tables] users = pa_aliases: users and aliases cannot both have this name"),
    ("[check_domains]\ndomain = a.example", ("[check_domains] domain is about one run, and no "
     "option: take it out, and give it by hand: jobs.py check_domains --set domain=VALUE")),
    ("[core]\nlock = database", ("[core] lock = 'database': this database has no locks of that "
     "kind; expected file")),
    # folders that something else uses
    ("[spool]\ndir = var/state", ("[spool] dir = HERE/var/state: that is [core] state_dir "
     "(HERE/var/state); give the spool a folder of its own")),
    ("[spool]\ndir = app\n[core]\ndatabase = sqlite:///app/veil.db", (
        "[spool] dir = HERE/app: that holds [core] database (HERE/app/veil.db); give the spool a "
        "folder of its own")),
    (("[spool]\ndir = .\n[core]\nstate_dir = /tmp/state\nlog_dir = /tmp/log\ndatabase = "
     "mysql://jobs:x@localhost/jobs\n[export]\ndir = /tmp/exports"), (
         "[spool] dir = HERE: that holds the configuration (HERE/config.ini); give the spool a "
         "folder of its own")),
    ("[archive]\nstore = var/spool/old", (
        "[archive] store = HERE/var/spool/old: that is in [spool] "
     "dir (HERE/var/spool); give archives a folder of their own")),
    ("[export]\ndir = var/spool/..", ("[export] dir = HERE/var: that holds [spool] dir "
     "(HERE/var/spool); give exports a folder of their own")),
    ("[export]\ndir = files\n[archive]\nstore = files", ("[archive] store = HERE/files: that is "
     "[export] dir (HERE/files); give archives a folder of their own\n[export] dir = HERE/files: "
     "that is [archive] store (HERE/files); give exports a folder of their own")),
]


@pytest.mark.parametrize("text, words", TEXTS)
def test_a_wrong_file_says_what_is_wrong(said, text, words):                           # R63
    assert "\n".join(said(f"{text}\n")) == words


def test_a_whole_page_of_unknown_names_is_listed_at_once(said):
    """To look for the nearest name of each would take minutes."""
    found = said("[mail]\n" + "".join(f"hots{number} = x\n" for number in range(5000)))
    assert len(found) == 5000
    assert "did you mean 'host'" in found[0]
