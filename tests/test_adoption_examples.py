"""The apps of docs/adoption-examples.md, from the first `migrate` to some days of cron: what that
page shows is what is run here."""
from __future__ import annotations

import configparser
import json
import re
from collections import namedtuple
from datetime import timedelta

import pytest

from jobs_lib import catalogue, clock
from jobs_lib.database.connection import connect
from jobs_lib.database.names import Names
from tests.house.source import ROOT
from tests.support import client
from tests.support.bench import Bench
from tests.support.keyed import UUIDS

PAGE = (ROOT / "docs" / "adoption-examples.md").read_text(encoding="utf-8")
TITLES = {"php": "Other names", "uuid": "UUIDs and soft deletes", "views": "Views"}
WAYS = [("php", "mariadb"), ("uuid", "sqlite"), ("uuid", "mariadb"), ("views", "sqlite"),
        ("views", "mariadb")]
ANN, BEN, CAT = 1, 2, 3             # mail of hers waits, he leaves, she asks for her data
GONE = 20                           # soft-deleted long ago, where the app has that
MANY = range(1, 21)
WAITING = 1001                      # the one forward, and the one delivery, that is young
SECRET = "whsec_c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"


def blocks(name: str, tag: str) -> list[str]:
    """The blocks of an example on the page."""
    section = PAGE.partition(f"\n## {TITLES[name]}\n")[2].partition("\n## ")[0]
    return re.findall(rf"(?ms)^```{tag}\n(.*?)^```", section)


def settings(name: str) -> dict[str, dict]:
    """What the example's config.ini says, without the database."""
    parser = configparser.ConfigParser()
    parser.read_string(blocks(name, "ini")[0])
    found = {section: dict(parser[section]) for section in parser.sections()}
    assert found["core"].pop("database").startswith("mysql://")
    return found


class App:
    """A database as the app made it, and what an operator and the app do there.

    `names` are those that the example's config.ini has for our tables; `run` is a client with the
    server's own settings.
    """

    def __init__(self, name: str, engine: str, url: str) -> None:
        self.name, self.engine, self.url = name, engine, url
        self.settings = settings(name)
        columns: dict = {}
        for key, theirs in self.settings["columns"].items():
            table, _, ours = key.partition(".")
            columns.setdefault(table, {})[ours] = theirs
        self.mapping = {"prefix": self.settings["core"]["prefix"],
                        "tables": self.settings["tables"], "columns": columns}
        self.names = Names(*self.mapping.values())
        self.db = connect(url, create=True)             # in UTC, as the app is
        self.run((ROOT / "docs" / "examples" / f"{name}.{engine}.sql").read_text("utf-8"))

    def run(self, sql: str) -> None:
        """Some statements, as a client is given them."""
        client.run(self.url, sql)

    def operator(self, tag: str | None = None) -> None:
        """Run the page's blocks, but for what the app does later."""
        for sql in blocks(self.name, tag or {"mariadb": "mysql"}.get(self.engine, self.engine)):
            if sql != LEAVES["php"]:
                self.run(sql)

    def insert(self, table: str, rows: list[dict]) -> None:
        """Rows of the app's own."""
        with self.db.transaction():
            for row in rows:
                self.db.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES "
                                f"({', '.join(f':{column}' for column in row)})", **row)

    def key(self, number):
        """The key that stands for a number of the story."""
        return UUIDS.make(number) if self.name == "uuid" and number else number

    def whole(self) -> dict:
        """Every row of every table but those that the jobs make."""
        tables = sorted(name for name in self.db.tables() if not name.startswith("jobs_"))
        return {name: sorted(map(repr, self.db.query(f"SELECT * FROM {name}"))) for name in tables}


# Two years of an app

Story = namedtuple("Story", "rows stay")
Story.__doc__ = """rows: {our table: rows by our names}; stay: {our table: the ids that no purge
has anything to do with}."""


def story(now) -> Story:
    """What the app has by the time that the jobs come."""
    def ago(**span):
        return now - timedelta(**span)

    old, rows = ago(days=800), {}
    rows["users"] = [{"id": n, "email": f"m{n}@home.example", "name": f"Member {n}",
                      "created_at": old} for n in MANY]
    rows["domains"] = [{"id": n, "user_id": n, "name": f"club{n}.example", "status": "verified",
                        "ownership_token": f"t{n}", "verified_at": old, "created_at": old}
                       for n in MANY[:10]]
    rows["aliases"] = [{"id": n, "user_id": n, "address": f"a{n}@alias.example", "active": 1,
                        "expires_at": ago(days=200) if n % 5 == 0 else None, "created_at": old}
                       for n in MANY]
    rows["destinations"] = [{"id": n, "user_id": n, "email": f"m{n}@home.example",
                             "verified_at": None if n == 18 else old, "created_at": old}
                            for n in MANY]
    rows["alias_destinations"] = [{"alias_id": n, "destination_id": n} for n in MANY]
    rows["message_logs"] = [
        {"id": n, "user_id": n % 20 + 1, "alias_id": n % 20 + 1, "direction": "forward",
         "status": "delivered", "bytes_used": 1000, "created_at": ago(days=100 if n <= 200 else 2)}
        for n in range(1, 401)]
    mail = {"alias_id": ANN, "user_id": ANN, "destination_id": ANN,
            "envelope_from": "ann@example.net", "envelope_to": "m1@home.example"}
    rows["failed_emails"] = [
        {"id": n, **mail, "raw_path": f"old{n}.eml", "created_at": ago(days=100 - n % 50),
         "status": "pending" if n <= 150 else "failed" if n <= 250 else "sent"}
        for n in range(1, 301)]
    rows["failed_emails"].append({"id": WAITING, **mail, "raw_path": "due.eml",
                                  "status": "pending", "created_at": ago(hours=2)})
    rows["sessions"] = [{"id": n, "user_id": n % 20 + 1, "token_hash": f"{n:064x}",
                         "created_at": ago(days=100), "last_seen_at": seen, "expires_at": ends}
                        for first, last, seen, ends in (
                            (1, 250, ago(days=50), ago(days=40)),
                            (251, 270, ago(days=50), now + timedelta(days=300)),
                            (271, 300, ago(days=1), now + timedelta(days=20)))
                        for n in range(first, last + 1)]
    rows["webhooks"] = [{"id": n, "user_id": n, "url": f"https://hook{n}.example/", "active": 1,
                         "secret": SECRET, "created_at": old} for n in MANY[:5]]
    rows["webhook_deliveries"] = [
        {"id": n, "webhook_id": n % 5 + 1, "user_id": n % 5 + 1, "event_id": f"e{n}",
         "event_type": "mail", "payload": "{}", "created_at": ago(days=60), "attempts": 1,
         "status": ("pending", "delivered", "failed")[n % 3]} for n in range(1, 251)]
    rows["webhook_deliveries"].append(
        {**rows["webhook_deliveries"][0], "id": WAITING, "event_id": f"e{WAITING}",
         "webhook_id": ANN, "user_id": ANN, "status": "pending", "created_at": ago(hours=2)})
    rows["export_requests"] = [{"id": n, "user_id": n % 20 + 1, "requested_at": ago(days=200),
                                "finished_at": ago(days=200)} for n in range(1, 101)]
    return Story(rows, {"sessions": set(range(271, 301)), "message_logs": set(range(201, 401)),
                        "webhook_deliveries": {WAITING}})


def seconds(moment) -> int | None:
    return moment and int(moment.timestamp())


def _token(row: dict) -> tuple[str, dict]:
    return "personal_access_tokens", {
        "id": row["id"], "tokenable_type": "user", "tokenable_id": UUIDS.make(row["user_id"]),
        "name": "browser", "token": row["token_hash"], "last_used_at": row["last_seen_at"],
        "expires_at": row["expires_at"], "created_at": row["created_at"]}


# {app: {our table: a row by our names -> (the app's table, its row)}}, where names do not say it
OTHERWISE = {
    "php": {},
    "uuid": {"sessions": _token},
    "views": {
        "users": lambda row: ("accounts", {
            "no": row["id"], "mail": row["email"], "full_name": row["name"],
            "created": seconds(row["created_at"])}),
        "aliases": lambda row: ("addresses", {
            "no": row["id"], "account_no": row["user_id"], "address": row["address"],
            "enabled": "Y", "valid_until": seconds(row["expires_at"]),
            "created": seconds(row["created_at"])}),
        "destinations": lambda row: ("targets", {
            "no": row["id"], "account_no": row["user_id"], "mail": row["email"],
            "confirmed": seconds(row["verified_at"]), "created": seconds(row["created_at"])}),
        "alias_destinations": lambda row: ("address_targets", {
            "address_no": row["alias_id"], "target_no": row["destination_id"]}),
        "message_logs": lambda row: ("traffic", {
            "no": row["id"], "account_no": row["user_id"], "address_no": row["alias_id"],
            "way": "f", "outcome": 0, "size": row["bytes_used"],
            "passed": seconds(row["created_at"])}),
        "sessions": lambda row: ("logins", {
            "no": row["id"], "account_no": row["user_id"], "hash": row["token_hash"],
            "begun": seconds(row["created_at"]), "seen": seconds(row["last_seen_at"]),
            "ends": seconds(row["expires_at"])})}}
BESIDES = {("php", "users"): {"password": "x"}, ("uuid", "users"): {"password": "x"}}


def fill(app: App, told: Story) -> None:
    """The story's rows, as far as the app has a table for them."""
    ours = connect(app.url, **app.mapping)
    for name, rows in told.rows.items():
        table, there = app.names(name), ours.columns(name)
        if convert := OTHERWISE[app.name].get(name):
            table = convert(rows[0])[0]
            app.insert(table, [convert(row)[1] for row in rows])
        elif there:
            app.insert(table, [{
                **{app.names.column(name, column): app.key(value) if column == "id"
                   or (column.endswith("_id") and column != "event_id") else value
                   for column, value in row.items() if column in there},
                **BESIDES.get((app.name, name), {})} for row in rows])
    ours.close()
    if app.name == "uuid":
        app.db.execute("UPDATE users SET deleted_at = '2025-01-01 00:00:00' WHERE id = :gone",
                       gone=app.key(GONE))
        app.insert("personal_access_tokens", [{
            "id": 9000, "tokenable_type": "printer", "tokenable_id": app.key(ANN), "name": "x",
            "token": "y", "expires_at": "2020-01-01 00:00:00"}])


# What the app goes on writing, in its own words

OWN = {
    "php": ("INSERT INTO members (mail, password, joined) VALUES ('new@home.example', 'x', :now)",
            ("INSERT INTO forwardings (member_id, address, added) VALUES (1, 'b@alias.example', "
             ":now)"),
            ("INSERT INTO maillog (member_id, forwarding_id, direction, result, bytes, logged) "
             "VALUES (1, 1, 'forward', 'delivered', 1000, :now)"),
            ("INSERT INTO logins (member_id, token, begun, last_used, ends) VALUES (1, 'new', "
             ":now, :now, :later)"),
            ("INSERT INTO hook_events (hook_id, member_id, event, payload, happened) VALUES "
             "(1, 1, 'new', '{}', :now)"),
            "INSERT INTO journal (office, what, noted) VALUES (1, 'x', :now)"),
    "uuid": (("INSERT INTO users (id, name, email, password, created_at) VALUES ('new', 'x', "
              "'new@home.example', 'x', :now)"),
             ("INSERT INTO aliases (id, user_id, email, created_at) VALUES ('new', :ann, "
              "'b@alias.example', :now)"),
             ("INSERT INTO email_logs (id, user_id, alias_id, type, status, size, created_at) "
              "VALUES ('new', :ann, :ann, 'forward', 'delivered', 1000, :now)"),
             ("INSERT INTO personal_access_tokens (tokenable_type, tokenable_id, name, token, "
              "last_used_at, expires_at, created_at) VALUES ('user', :ann, 'x', 'new', :now, "
              ":later, :now)"),
             ("INSERT INTO webhook_calls (id, webhook_endpoint_id, user_id, event, payload, "
              "created_at) VALUES ('new', :ann, :ann, 'mail', '{}', :now)")),
    "views": ("INSERT INTO accounts (mail, created) VALUES ('new@home.example', 1)",
              ("INSERT INTO addresses (account_no, address, created) VALUES (1, 'b@alias.example', "
               "1)"),
              ("INSERT INTO traffic (account_no, address_no, way, outcome, size, passed) VALUES "
               "(1, 1, 'f', 0, 1000, :seconds)"),
              ("INSERT INTO logins (account_no, hash, begun, seen, ends) VALUES (1, 'new', "
               ":seconds, :seconds, :seconds + 99999999)"))}
LEAVES = {"php": blocks("php", "mysql")[1],
          "uuid": f"UPDATE users SET status = 'deleted', deleted_at = '{{now}}' WHERE id = "
                  f"'{UUIDS.make(BEN)}'",
          "views": "UPDATE accounts SET state = 2, deleted = {seconds} WHERE no = 2"}


def own(app: App, now) -> None:
    """Each of them once; Ben leaves, and Cat asks for her data."""
    values = {"now": now, "later": now + timedelta(days=20), "ann": app.key(ANN),
              "seconds": seconds(now)}
    for sql in OWN[app.name]:
        app.db.execute(sql, **{name: value for name, value in values.items() if f":{name}" in sql})
    app.run(LEAVES[app.name].format(now=clock.text(now), seconds=seconds(now)) + "\n")
    if app.name == "uuid":
        app.insert("data_exports", [{"id": "new", "user_id": app.key(CAT), "created_at": now}])
    else:
        app.insert("jobs_export_requests", [{"user_id": CAT, "requested_at": now}])
    if app.name == "views":                 # written by the mail hook, now that there is the table
        app.insert("jobs_failed_emails", [{
            "id": WAITING, "user_id": ANN, "alias_id": ANN, "destination_id": ANN,
            "envelope_from": "ann@example.net", "envelope_to": "m1@home.example",
            "raw_path": "due.eml", "created_at": now - timedelta(hours=2)}])


# The operator

def statements(printed: str) -> str:
    """What is to be run of what `migrate` prints: all but sentences."""
    text = re.sub(r"(?m)   -- .*$|^-- .*$", "", printed)
    found = re.findall(r"(?ms)^(?:ALTER|CREATE|UPDATE|SET) .*?;$", text)
    return "\n".join(found)


def shown(app: App, printed: str) -> None:
    """What the page shows of it is printed."""
    lines = re.sub(r"'\d{4}-[\d :-]+'", "'...'", printed).splitlines()
    for block in blocks(app.name, "text") if app.engine == "mariadb" else ():
        missing = [line for line in block.splitlines() if line not in lines]
        assert missing == [], printed


def configured(app: App) -> str:
    """config.ini as the operator has it at first."""
    sections = {**app.settings, "core": {
        **app.settings["core"], "database": app.url, "state_dir": "state", "log_dir": "log"},
        "spool": {"dir": "spool"}, "mail": {"host": "127.0.0.1", "security": "none",
                                            "domain": "alias.example"}, "alerts": {"email": ""}}
    return "\n".join(line for name, options in sections.items()
                     for line in (f"[{name}]", *(f"{option} = {value}" for option, value
                                                 in options.items()))) + "\n"


def prepared(app: App, line) -> None:
    """The tables are made, and nothing is missing."""
    if app.name != "php":               # whose block is about what `migrate` prints
        app.operator()
    line.ini(configured(app))
    printed = line.run("migrate")
    shown(app, printed)
    if app.name == "php":
        app.operator()
    assert re.findall(r"(?m)^ALTER .*your app has to fill it$", printed) == []
    app.run(statements(printed))
    app.operator(tag="sql")
    line.run("migrate")
    assert line.run("migrate", "--check") == "the schema is up to date\n"
    problems = [found["what"] for found in json.loads(line("doctor", "--offline", "--json").out)
                if found["level"] == "problem" and found["area"] == "database"]
    assert problems == []


def nothing_begins(app: App, line) -> None:
    """Every job is due, and leaves the app's rows alone."""
    before = app.whole()
    app.db.execute("UPDATE jobs_job_state SET due_after = '2020-01-01 00:00:00'")
    line.run("run-due")
    assert app.whole() == before
    assert app.db.query("SELECT kind FROM jobs_notifications") == []


def confirmed(app: App, line) -> None:
    """`adopt` shows what is coming, and starts it."""
    found = line.json("adopt")["jobs"]
    assert [job["refuses"] or job["not_counted"] for job in found
            if job["refuses"] or job["not_counted"]] == []
    numbers = {(job["name"], item["act"]): item["number"] for job in found
               for item in job["items"]}
    assert numbers["purge_sessions", "delete"] == 270
    assert numbers["purge_message_logs", "delete"] == 200
    if app.name != "views":
        assert numbers["retry_forwards", "send"] == 1
        assert numbers["retry_webhooks", "send"] == 1
    assert line.json("adopt", "--confirm")["unconfirmed"] == []


def days(app: App, bench: Bench, hours: int) -> None:
    """Cron, every other hour."""
    for _ in range(0, hours, 2):
        bench.now += timedelta(hours=2)
        bench.clock.seconds += 7200
        bench.tick()
    wrong = bench.db.query("SELECT job, status, stop_reason, error, counts FROM {job_runs} WHERE "
                           "status <> 'ok'")
    assert wrong == []


@pytest.mark.slow
@pytest.mark.parametrize(("name", "engine"), WAYS, ids=map("-".join, WAYS))
def test_an_example_works_from_the_first_migrate_on(line, request, name, engine):  # R74 R75
    url = (f"sqlite:///{line.folder}/app.db" if engine == "sqlite"
           else request.getfixturevalue("mariadb").database())
    app = App(name, engine, url)
    now = clock.now()
    told = story(now)
    fill(app, told)
    prepared(app, line)
    nothing_begins(app, line)
    confirmed(app, line)

    bench = Bench(line.folder, url, **app.mapping)
    bench.now = clock.now()
    bench.config(mail={"per_minute": "off", "per_hour": "off", "per_day": "off",
                       "domain": "alias.example"}, dns={"mx_hosts": "mx.alias.example"},
                 core={"app_url": "https://app.example"}, export={"dir": "exports"})
    bench.spool("due.eml")
    for n in MANY:
        bench.dns[(f"club{n}.example", "TXT")] = [f"porter-verify=t{n}"]
        bench.dns[(f"club{n}.example", "MX")] = [(10, "mx.alias.example")]
    own(app, bench.now)
    days(app, bench, 26)
    after_a_day(app, bench, told)
    bench.now += timedelta(days=7)
    bench.clock.seconds += 7 * 86_400
    days(app, bench, 26)
    after_nine(app, bench)
    bench.db.close()
    app.db.close()
    if engine == "mariadb":
        request.getfixturevalue("mariadb").drop(url)


def erased(app: App) -> list:
    """Whose account had been deleted before the jobs came."""
    return [GONE] if app.name == "uuid" else []


def left(bench: Bench, app: App, name: str) -> set:
    """The ids of the story's rows that a table of ours still has."""
    numbers = {app.key(n) if name != "sessions" else n: n for n in range(1, 1100)}
    return {numbers[id] for id in bench.ids(name) if id in numbers}


def after_a_day(app: App, bench: Bench, told: Story) -> None:
    """Each job has run; what is old is deleted, what waited is sent, and nothing twice."""
    ran = {row["job"] for row in bench.db.query("SELECT DISTINCT job FROM {job_runs}")}
    assert set(catalogue.names()) - ran == set()
    for table, ids in told.stay.items():
        if table in ("sessions", "message_logs") or app.name != "views":
            closed = {*erased(app), *([BEN] if table == "sessions" else [])}
            there = {row["id"] for row in told.rows[table] if row["user_id"] not in closed}
            assert left(bench, app, table) & there == ids & there, table
    assert bench.db.value("SELECT SUM(email_count) FROM {message_stats}"
                          ) == 200 - 10 * len(erased(app))
    forwards = [mail for mail in bench.outbox if mail.subject == "hello"]
    assert [mail.recipient for mail in forwards] == ["m1@home.example"]
    if app.name != "views":
        posted = [dict(request.headers)["webhook-id"] for request in bench.web]
        assert len(posted) == len(set(posted)) == 2     # the story's, and the app's own
    notices = [(mail.recipient, mail.subject) for mail in bench.outbox if mail not in forwards]
    assert len(notices) == len(set(notices))
    kinds = sorted((row["kind"], row["to_email"]) for row in bench.rows("notifications"))
    assert kinds == [("account_deletion_scheduled", "m2@home.example"),
                     ("export_ready", "m3@home.example")]
    assert bench.db.value("SELECT active FROM {aliases} WHERE id = :id", id=app.key(5)) == 0
    if app.name == "views":             # as the app reads it
        assert app.db.value("SELECT enabled FROM addresses WHERE no = 5") == "N"
    assert len(list((bench.folder / "exports").glob("*.zip"))) == 1
    assert left(bench, app, "users") >= set(MANY) - set(erased(app))


def after_nine(app: App, bench: Bench) -> None:
    """Ben is erased with all he had; the others keep theirs."""
    for name in ("users", "aliases", "destinations"):
        assert left(bench, app, name) & set(MANY) == set(MANY) - {BEN, *erased(app)}, name
    assert bench.ids("failed_emails") == []
    if app.name == "uuid":
        assert app.db.value("SELECT COUNT(*) FROM personal_access_tokens WHERE tokenable_type = "
                            "'printer'") == 1
    # and what the app wrote itself is there
    table, column = {"php": ("members", "mail"), "uuid": ("users", "email"),
                     "views": ("accounts", "mail")}[app.name]
    assert app.db.value(f"SELECT COUNT(*) FROM {table} WHERE {column} = 'new@home.example'") == 1

