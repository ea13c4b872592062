"""Whatever rows, servers, triggers and our own defects hold, no address and no secret is in what
the program writes.

One installation in which everything is marked: each address begins with `marked.`, each secret with
`secret-of-`. All jobs and commands run as real processes, then all that they wrote is searched for
the marks.
"""
from __future__ import annotations

import re

import dns.message
import dns.rrset
import pytest

from tests.servers.dns_servers import Slow
from tests.servers.mariadb import ENCODED, PASSWORD
from tests.servers.misbehaving import Relay
from tests.servers.web import Web
from tests.support.product import app_tables, catalogue, clock, tables
from tests.support.shell import Shell
from tests.test_hostile_rows import due

OWNER = 7
SECRETS = {name: f"secret-of-{name}-" + "x" * 24 for name in ("mail", "srs", "links", "ping",
                                                              "alert", "link")}
HOOK_SECRET = "whsec_c2VjcmV0LW9mLWhvb2stbWFya2VkLW1hcmtlZA=="
MARK = re.compile(r"marked\.|secret-of-|whsec_c2Vj|"
                  + "|".join(map(re.escape, (PASSWORD, ENCODED))))
TEXT = ("<marked.someone@mark.example> %s "
        f"{SECRETS['mail']} {SECRETS['srs']} {SECRETS['links']} {HOOK_SECRET}")
LINK = f"https://us:{SECRETS['link']}@mark.example/?token={SECRETS['link']}"
BUGS = (("retry_webhooks", "jobs_lib.features.queues:work_to_do"),
        ("list", "jobs_lib.catalogue:load_all"), ("run-due", "jobs_lib.runner.runner:run"),
        ("check_jobs", "jobs_lib.monitoring.alerts:check"),
        ("doctor", "jobs_lib.doctor.network:unknown_name"),
        ("status", "jobs_lib.monitoring.overview:collect"))
COMMANDS = (("status",), ("list",), ("history",), ("history", "-v"), ("doctor",), ("metrics",),
            ("report",), ("run-due",), ("config", "show"))

# What may hold addresses, and why.
OWN_COLUMNS = {
    ("notifications", "to_email"): "whom the message goes to",
    ("notifications", "subject"): "the user's own message",
    ("notifications", "body_text"): "the user's own message",
    ("notifications", "body_html"): "the user's own message",
    ("notifications", "last_error"): "the user's own row: the relay's answer about his own address",
}                           # and the app's own tables, such as failed_emails: its owner's rows
# Settings, rows, contents of messages and accounts.
OWN_FILES = ("config.ini", ".env", "jobs.db", "spool/", "archive/", "exports/", "state/secret")


class NameServer(Slow):
    """Answers each question with a TXT record that is marked."""

    def datagram_received(self, data, addr):
        asked = dns.message.from_wire(data)
        answer = dns.message.make_response(asked)
        answer.answer.append(dns.rrset.from_text(asked.question[0].name, 60, "IN", "TXT",
                                                 f'"porter-verify={TEXT % "dns"}"'))
        self.transport.sendto(answer.to_wire(), addr)


@pytest.fixture
def service(bench):
    """The installation, `.relay` and `.web`, each of which says what is marked: the relay as it
    refuses what it is given first, the web server as endpoints, the operator's alert hook and the
    ping service."""
    words = (TEXT % LINK).encode()
    answers = [code + words for code in (b"550 5.1.1 ", b"451 4.2.0 ", b"550 5.7.1 ")]
    head = b"HTTP/1.1 500 %s\r\nContent-Length: %d\r\n\r\n" % (words, len(words))
    with (Relay(("PIPELINING", "SIZE 0", "8BITMIME", "AUTH PLAIN"), RCPT=answers) as relay,
          Web(head + words) as web, NameServer() as names):
        bench.now = clock.now()
        at = f"http://127.0.0.1:{web.port}"
        for name, rows in due(bench, OWNER).items():
            bench.table(name, [marked(name, row, at) for row in rows])
        for name in ("due", "held", "over", "spam"):
            bench.spool(f"{name}{OWNER}.eml",
                        b"From: marked.from@mark.example\r\n\r\n" + TEXT.encode())
        made = Shell(
            bench.folder, bench.url,
            core={"secret_key": SECRETS["links"], "app_url": "https://mail.mark.example",
                  "max_clock_jump": "off"},
            mail={"port": relay.port, "from": "marked.from@mark.example", "security": "none",
                  "username": "marked.login@mark.example", "password": SECRETS["mail"],
                  "srs_secret": SECRETS["srs"]},
            dns={"nameservers": f"127.0.0.1:{names.port}", "timeout": "1s",
                 "mx_hosts": "mx.alias.example"},
            webhooks={"allow_networks": "127.0.0.0/8", "timeout": "2s"},
            archive={"store": "archive"}, export={"dir": "exports"},
            alerts={"email": "marked.operator@mark.example", "after_failures": 1,
                    "timeout": "2s", "webhook": f"{at}/alert/{SECRETS['alert']}",
                    "ping_url": f"{at}/ping/{SECRETS['ping']}"},
            status={"page": "status.html"})
        made.relay, made.web = relay, web
        refuse_deletions(made.db)
        yield made
        made.close()


def marked(table: str, row: dict, at: str) -> dict:
    """The row with marks in its texts."""
    texts = {"email": "marked.user@mark.example", "to_email": "marked.to@mark.example",
             "envelope_from": "marked.sender@mark.example", "envelope_to": "marked.to@mark.example",
             "address": f"marked.{row.get('id')}@alias.example", "last_error": TEXT % "row",
             "url": f"{at}/in?token={SECRETS['link']}", "secret": HOOK_SECRET,
             "payload": f'"{TEXT % "payload"}"', "event": "signed.in"}
    row = {name: texts.get(name, value) for name, value in row.items()}
    if str(row.get("raw_path", "")).startswith(("lost", "sent")):
        row["raw_path"] = f"marked.{row['raw_path']}@mark.example"
    return row


def refuse_deletions(db) -> None:
    """An app's trigger that lets no session be deleted, and quotes what it should not."""
    # MariaDB takes 128 characters
    words = f"<marked.trigger@mark.example> {SECRETS['mail']} {PASSWORD}"
    refuse = (f"BEGIN SELECT RAISE(ABORT, '{words}'); END" if db.is_sqlite else
              f"FOR EACH ROW SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = '{words}'")
    db.as_it_is(f"CREATE TRIGGER refuse BEFORE DELETE ON sessions {refuse}")


@pytest.mark.slow
def test_no_address_and_no_secret_leaves(service):      # R72
    """On MariaDB, which has words of its own, the jobs; defects and commands on SQLite."""
    said: dict[str, str] = {}
    whole = service.db.is_sqlite

    def run(*words: str, bug: str = "") -> None:
        words_of_bug = (f"{bug}=RuntimeError:{TEXT % LINK} {PASSWORD} {ENCODED} {SECRETS['ping']} "
                        f"{SECRETS['alert']}")
        process = service.start(*words, bug=words_of_bug if bug else None)
        out, err = process.communicate(timeout=120)
        said[" ".join(("bug" if bug else "", *words))] = out + err
    jobs = sorted(catalogue.names(), key=lambda job: job == "check_jobs")
    for job in jobs:
        run(job, "--dry-run", "--json")
        run(job)
    service.db.execute("UPDATE {job_state} SET due_after = :long_ago",
                       long_ago="2020-01-01 00:00:00")
    for words, bug in BUGS if whole else BUGS[:2]:
        run(words, bug=bug)
    run("check_jobs", "--json")
    for words in COMMANDS if whole else (("config", "show"), ("status",), ("run-due",)):
        run(*words)
        if words[0] not in ("metrics", "report", "config"):
            run(*words, "--json")

    assert any("unexpected error" in text for name, text in said.items() if name.startswith("bug"))
    alerts = [content for content in service.relay.contents
              if b"To: marked.operator@mark.example" in content]
    posted = {path: [heard for heard in service.web.requests if f" /{path}" in heard.line]
              for path in ("ping", "alert", "in")}
    assert alerts
    assert all(posted.values())
    assert service.db.value("SELECT checked_at FROM {domains}")
    sinks = {f"output of {name}": text for name, text in said.items()}
    # what the operator has set
    sinks["output of  config show"] = without_own(sinks["output of  config show"])
    # and to him
    sinks |= {f"alert mail {at}": without_own(content.decode()) for at,
              content in enumerate(alerts)}
    sinks |= {f"{path} {at}": heard.body.decode() for path in ("ping", "alert")
              for at, heard in enumerate(posted[path])}
    sinks |= written(service) | stored(service.db)
    leaks = {name: text[max(0, at.start() - 120):at.end() + 80] for name, text in sinks.items()
             if (at := MARK.search(text))}
    assert not leaks, "\n\n".join(f"{name}: {text}" for name, text in leaks.items())
    for job in ("purge_sessions", "retry_webhooks"):         # the trigger and the bugs were met
        assert any(row["error"] for row in service.db.query("SELECT error FROM {job_runs} "
                                                            "WHERE job = :job", job=job))


def without_own(text: str) -> str:
    """The text without the addresses of the configuration: the operator's and the service's."""
    return re.sub(r"marked\.(operator|from|login)@mark\.example", "", text)


def written(service) -> dict[str, str]:
    """All files of the installation that are the program's own."""
    found = {}
    for path in service.folder.rglob("*"):
        name = str(path.relative_to(service.folder))
        if path.is_file() and not name.startswith(OWN_FILES):
            found[f"file {name}"] = name + path.read_text(errors="replace")
    assert {"file log/purge_sessions.log", "file log/jobs.log", "file status.html"} <= set(found)
    return found


def stored(db) -> dict[str, str]:
    """All columns of the program's own tables."""
    own = [table for table in tables() if table.name not in app_tables.TABLES]
    found = {}
    for table in own:
        for row in db.query(f"SELECT * FROM {{{table.name}}}"):
            for column, value in row.items():
                if (table.name, column) not in OWN_COLUMNS:
                    key = f"{table.name}.{column}"
                    found[key] = f"{found.get(key, '')}\n{value}"
    return found
