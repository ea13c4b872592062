"""The documents tell the truth: each command, option, setting, column, statement and link in them
exists, and what is generated is up to date."""
from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from collections import namedtuple
from contextlib import suppress
from datetime import datetime, timezone
from functools import cache

import pytest

from docs.generate.__main__ import files
from jobs_lib import catalogue
from jobs_lib import commands as command_modules
from jobs_lib.cli import arguments
from jobs_lib.config import CONFIG_VARIABLE, load, settings, variable_name
from jobs_lib.database.schema import NAMES
from jobs_lib.database.schema.tables import table
from jobs_lib.errors import JobsError
from tests.house.source import ROOT, modules, remarks, tree
from tests.support.db import run_sql
from tests.support.product import forward

DOCS = ROOT / "docs"
PAGES = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
         for path in sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])}
Code = namedtuple("Code", "page text is_span")          # is_span: within a sentence
PLACEHOLDERS = {"JOB": "retry_forwards", "COMMAND": "list", "ID": "16", "FILE": "config.ini",
                "KIND": "overflow_warning"}
COMMAND = re.compile(r"(?<![\w-])jobs\.py ((?:'[^']*'|[^`'|&;()<>#])+)")
NOT_OURS = ("innodb_flush_log_at_trx_commit", "synchronous")          # settings of other programs
FORBIDDEN = re.compile(
    r"\b(?:[Ii]ssues?|[Tt]ickets?)\b(?!_)|\bBJ-\d+|(?<![\w(/&])#\d+\b|\bR\d{1,2}\b"
    r"|\b(?:design|contract|tickets|requirements|style|measurements)\.md\b"
    r"|pypi\.org|pythonhosted\.org|/work/|/root/|/home/(?!you\b)|/Users/")


# Reading a page

@cache
def code() -> tuple[Code, ...]:
    """The code of all pages: fenced and indented lines, and spans, also over two lines."""
    found = []
    for page, text in PAGES.items():
        prose, fenced = [], False
        for line in text.split("\n"):
            if re.match(r"\s*```", line):
                fenced = not fenced
            elif fenced or (line.startswith("    ") and not re.match(r"\s+(\d+\.|[-*])\s", line)):
                found.append(Code(page, line.strip(), False))
            else:
                prose.append(line)
        found += [Code(page, " ".join(span.split()), True)
                  for span in re.findall(r"(?<!`)`([^`]+)`(?!`)", "\n".join(prose))]
    return tuple(found)


def blocks(text: str, language: str | None = None) -> list[str]:
    """The fenced blocks of a page."""
    return [block for tag, block in re.findall(r"(?ms)^ *```(\w*)\n(.*?)^ *```", text)
            if language is None or tag == language]


def wrong_in(judge, spans_only: bool = False) -> list[str]:
    """What `judge(text)` says of each piece of code."""
    return [f"{piece.page}: `{piece.text}`: {problem}" for piece in code()
            if piece.is_span or not spans_only for problem in judge(piece.text) if problem]


# Commands and names

def wrong_commands(text: str):
    """What the program would say of each `jobs.py ...` in it. What follows two spaces explains
    it, and `jobs.py run-due: ...` is a message."""
    for found in COMMAND.findall(text):
        words = [PLACEHOLDERS.get(word.strip("[]"), word)
                 for word in found.partition("  ")[0].split() if word != "..."]
        if words and not words[0].endswith(":"):
            yield wrong_command(words)


def wrong_command(words: list[str]) -> str:
    if words[0] == "--config":
        words = words[2:]
    if not words or words[0] in ("--version", "help") or words[-1] == "--help":
        return ""
    first, *rest = words
    if first not in (*command_modules.names(), *catalogue.names()):
        return f"there is no job or command {first}"
    try:
        args = parser_of(first).parse_args(rest)
        name = first if first in catalogue.names() else getattr(args, "job", None)
        job = catalogue.load(name) if isinstance(name, str) else None
        load(beside="none", environ={}).with_overrides(getattr(args, "set", []), job)
    except JobsError as error:
        return str(error)
    return ""


def parser_of(name: str):
    parser = arguments._parser(name, "")
    if name in command_modules.names():
        command_modules.load(name).arguments(parser)
    else:
        arguments.job_options(parser)
    return parser


@cache
def all_options() -> frozenset:
    """Every `--option` of any job or command."""
    return frozenset({"--help", "--version", "--config"} | {
        word for name in ("check_jobs", *command_modules.names())
        for action in parser_of(name)._actions for word in action.option_strings})


@cache
def sections() -> dict:
    """{section: {option: its declaration}}; any name may be in [tables]."""
    jobs = {job.name: settings.job_options(job) for job in catalogue.load_all()}
    return {**settings.SECTIONS, **jobs, settings.TABLES: dict.fromkeys(NAMES)}


def wrong_setting(section: str | None, option: str, value: str | None) -> str:
    """Whether [section] has the option, or any section if none is given, and takes the value."""
    if section is not None and section not in sections():
        return f"there is no section [{section}]"
    places = [options for name, options in sections().items()
              if name == section or (section is None and name != settings.TABLES)]
    declared = [options[option] for options in places if option in options]
    for one in declared:
        with suppress(ValueError):
            if one is not None and value is not None:
                one.kind.parse(value)
            return ""
    return f"there is no option {option}, or it does not take {value!r}" if option else ""


def wrong_span(text: str):
    """What is wrong with code in a sentence: an option, a setting, a variable, a column."""
    for word in re.findall(r"(?<!\S)--?[a-z][\w-]*", text) if text.startswith("-") else ():
        yield "" if word in all_options() else f"there is no option {word}"
    if setting := re.fullmatch(r"\[([a-z_]+)\](?: ([a-z_]+)(?: = (.*))?)?", text):
        yield wrong_setting(setting[1], setting[2] or "", setting[3])
    if (assigned := re.fullmatch(r"([a-z_]+) = ([^']*)", text)) and assigned[1] not in NOT_OURS:
        yield wrong_setting(None, assigned[1], assigned[2])
    if re.fullmatch(r"JOBS_[A-Z_]+", text) and text != CONFIG_VARIABLE:
        known = {variable_name(section, option) for section, options in sections().items()
                 for option in options}
        yield "" if text in known else f"there is no variable {text}"
    if (column := re.fullmatch(r"([a-z_]+)\.([a-z_]+)", text)) and column[1] in NAMES:
        names = {one.name for one in table(column[1]).columns}
        yield "" if column[2] in names else f"{column[1]} has no column {column[2]}"


def test_every_command_option_setting_variable_and_column_exists():
    assert wrong_in(wrong_commands) == []
    assert wrong_in(wrong_span, spans_only=True) == []
    wrong = []
    for page, text in PAGES.items():
        for block in [*blocks(text), *re.findall(r"(?m)(?:^    .*\n)+", text)]:
            section = None
            for line in block.split("\n"):
                if title := re.fullmatch(r"\s*\[([a-z_]+)\]", line):
                    section = title[1]
                    wrong.append((page, wrong_setting(section, "", None)))
                elif section and (setting := re.fullmatch(r"\s*([a-z_]+) = (.*)", line)):
                    wrong.append((page, wrong_setting(section, setting[1], setting[2])))
    assert [each for each in wrong if each[1]] == []


def test_what_is_wrong_is_caught():
    for text in ("jobs.py docter", "jobs.py replay letter 3", "jobs.py test retry_forwards --lve",
                 "jobs.py retry_forwards --set delay=1h", "cd / && x/jobs.py config chek",
                 "--dryrun", "[mial]", "[mail] hots", "[mail] port = abc", "per_hours = 80",
                 "JOBS_MAIL_HOTS", "failed_emails.state"):
        assert any([*wrong_commands(text), *wrong_span(text)]), text


# Links, pages, words

def slugs(text: str) -> set[str]:
    """What a link may name behind `#`."""
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-")
            for title in re.findall(r"(?m)^#+ (.*)$", text)}


def test_every_link_leads_somewhere_and_every_page_can_be_reached_from_the_readme():
    links: dict = {}
    for page, text in PAGES.items():
        prose = re.sub(r"(?ms)^ *```.*?^ *```|`[^`]+`", "", text)
        for target in re.findall(r"\]\(([^)\s]+)\)", prose):
            path, _, anchor = target.partition("#")
            if "://" in path:
                continue
            there = ((ROOT / page).parent / path).resolve() if path else ROOT / page
            assert there.exists(), f"{page}: {target}"
            name = str(there.relative_to(ROOT))
            assert not anchor or anchor in slugs(PAGES[name]), f"{page}: {target}"
            links.setdefault(page, set()).add(name)
    reached = ["README.md"]
    for page in reached:                            # which grows
        reached += links.get(page, set()).difference(reached)
    assert {*PAGES} - {*reached} == set()


def test_a_page_speaks_of_nothing_that_its_reader_cannot_see():
    assert [(page, found[0]) for page, text in PAGES.items()
            for found in FORBIDDEN.finditer(text)] == []


@cache
def our_messages() -> str:
    """Every text in the program, what is put into it left out."""
    found = []
    for path in modules().values():
        for node in ast.walk(tree(path)):
            parts = node.values if isinstance(node, ast.JoinedStr) else [node]
            found.append("\0".join(str(part.value) for part in parts
                                   if isinstance(part, ast.Constant)))
    return " ".join("\0".join(found).split())


def test_every_file_and_heading_that_a_page_or_the_code_names_is_there():
    ours = re.compile(r"(?<![\w./-])(?:docs|jobs_lib|tests)/[\w./-]+\.\w+")
    everything = "\0".join([our_messages(), *(" ".join(" ".join(
        token.string.lstrip("#") for token in remarks(path)).split())
        for path in modules().values())])
    named = {*ours.findall(everything), *(path for piece in code()
                                          for path in ours.findall(piece.text))}
    assert len(named) > 20
    assert [path for path in named if not (ROOT / path).exists()
            and "expire_webhook_secrets" not in path] == []
    headings = re.findall(r'(docs/[a-z/-]+\.md), "?([A-Z][^.,:)"\0]*)', everything)
    assert len(headings) > 8
    assert [(page, words) for page, words in headings if not any(
        words.startswith(title) or title.startswith(words)
        for title in re.findall(r"(?m)^#+ (.*)$", PAGES[page]))] == []


def test_every_event_that_is_logged_is_in_the_page_about_logs():
    logged = {node.args[0].value for path in modules().values() for node in ast.walk(tree(path))
              if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
              and node.func.attr in ("event", "warning", "error")
              and ast.unparse(node.func.value).rpartition(".")[2] == "log"
              and node.args and isinstance(node.args[0], ast.Constant)}
    assert len(logged) > 30
    assert sorted(event for event in logged if f"`{event}`" not in PAGES["docs/operate.md"]) == []


# What Python, the system or cron say, in their words
NOT_SAID_BY_US = re.compile(
    r"Connection refused|Name or service|certificate has expired|problems in|unable to get local"
    r"|disk I/O error|WRONG_VERSION|No space left|Disk quota|Traceback|No such file"
    r"|denied to user|Access denied|Unknown database|Can't connect"
    r"|SSL is required|certificate verify|file is not|Hostname mismatch|AUTH extension")


def test_every_message_that_is_explained_is_one_that_the_program_says():
    """At least an eighth of its triples of words: the rest is put into it."""
    text = PAGES["docs/failures.md"]
    messages = [line.strip() for block in blocks(text) for line in block.split("\n")]
    messages += re.findall(r"(?m)^\| `([^`|]+)`", text)
    assert len(messages) > 40
    for message in messages:
        words = message.replace("...", "").split()
        triples = [" ".join(words[at:at + 3]) for at in range(len(words) - 2)]
        if len(triples) > 2 and not NOT_SAID_BY_US.search(message) and (
                words[0] not in ("SELECT", "UPDATE", "awk")):
            assert sum(each in our_messages() for each in triples) >= max(
                1, len(triples) // 8), message


# Programs and statements

@pytest.mark.slow
def test_the_job_that_is_walked_through_works_and_appears_everywhere(tmp_path):
    """The page's own test and job, in a copy of the program, with what the page says comes by
    itself."""
    copy = tmp_path / "jobs"
    for part in ("jobs_lib", "tests", "docs"):
        shutil.copytree(ROOT / part, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
    for part in ("jobs.py", "pyproject.toml"):
        shutil.copy(ROOT / part, copy)
    test, job = blocks(PAGES["docs/dev/architecture.md"], "python")
    (copy / "tests/jobs/test_expire_webhook_secrets.py").write_text(test, encoding="utf-8")
    (copy / "jobs_lib/jobs/expire_webhook_secrets.py").write_text(job, encoding="utf-8")

    def python(*words):
        return subprocess.run([sys.executable, *words], cwd=copy, capture_output=True, text=True,
                              check=True).stdout

    assert "2 passed" in python("-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", "-k",
                                "sqlite", "tests/jobs/test_expire_webhook_secrets.py")
    python("-m", "docs.generate")
    for name in ("crontab.txt", "config.ini.example", "docs/jobs.md"):
        assert "expire_webhook_secrets" in (copy / name).read_text(encoding="utf-8"), name
    assert "expire_webhook_secrets" in python("jobs.py", "--help")
    assert "jobs.py expire_webhook_secrets --scheduled" in python("jobs.py", "crontab", "--style",
                                                                  "per-job")


def test_every_sql_statement_runs(sqlite_url):
    text = "\n".join(block for page in PAGES.values() for block in blocks(page))
    found = re.findall(r"(?ms)^((?:SELECT|INSERT|UPDATE|DELETE)\b.*?);$", text)
    assert len(found) >= 4
    run_sql(sqlite_url, ";\n".join(found).replace("UTC_TIMESTAMP()", "datetime('now')") + ";")


BOUNCE = (b"From: MAILER-DAEMON@relay.example\r\nMIME-Version: 1.0\r\n"
          b"Content-Type: multipart/report; report-type=delivery-status; boundary=x\r\n\r\n"
          b"--x\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; "
          b"relay.example\r\n\r\nFinal-Recipient: rfc822; Jane@Home.example\r\nAction: "
          b"failed\r\nStatus: 5.1.1\r\n\r\n--x--\r\n")


def test_the_program_for_bounces_notifies_the_owner_and_never_the_sender(bench):        # R36
    (program,) = [block for block in blocks(PAGES["docs/mail.md"]) if "is_our_bounce" in block]
    space: dict = {}
    exec(program, space)
    address = forward("bob@sender.example", "alias.example", "secret", datetime.now(timezone.utc))
    assert space["is_our_bounce"](address, "secret")
    assert not space["is_our_bounce"](address, "other")
    bench.table("users", [{"id": 1, "email": "jane@home.example"},
                          {"id": 2, "email": "eve@eve.example"}])
    bench.table("destinations", [
        {"user_id": 1, "email": "jane@home.example", "verified_at": bench.now},
        {"user_id": 1, "email": "jane@work.example", "verified_at": bench.now},
        {"user_id": 2, "email": "jane@home.example"}])              # not proven to be hers
    for _ in range(2):
        space["take_bounce"](bench.db, BOUNCE, bench.now)
    assert bench.run("send_notifications")["sent"] == 1
    assert [mail.recipient for mail in bench.outbox] == ["jane@work.example"]
    assert [(row["user_id"], row["status"]) for row in bench.rows("message_logs")] == [
        (1, "bounced")] * 2


# What is generated

def test_generated_files_are_up_to_date_and_tell_nothing_of_this_machine():
    for name, text in files().items():
        assert (ROOT / name).read_text(encoding="utf-8") == text, "run: python3 -m docs.generate"
        assert str(ROOT) not in text
        assert sys.executable not in text


def test_the_env_example_has_each_jobs_options_with_their_defaults(tmp_path):       # R63
    text = re.sub("(?m)^#(?=JOBS_)", "", (ROOT / ".env.example").read_text("utf-8"))
    (tmp_path / ".env").write_text(text)
    given = load(None, beside=str(tmp_path), environ={})
    for job in catalogue.load_all():
        for name, option in settings.job_options(job).items():
            if name in ("schedule", *job.options) and not option.argument:
                assert f"\n{variable_name(job.name, name)}=" in text
                assert given.written(job.name, name, option).text == option.default


def test_the_page_on_retention_has_each_job_that_deletes_with_its_defaults():
    listed = PAGES["docs/retention.md"].partition("## Who is notified first?")[0]
    rows = [line for line in listed.splitlines() if line.startswith("|")]
    found = [(job, row) for job in catalogue.load_all() if (row := "\n".join(
        line for line in rows if f"`{job.name}`" in line))]
    assert len(found) == 13
    for job, row in found:
        assert dict(re.findall(r"`(\w+) = (\w+)`", row)) == {
            name: option.default for name, option in job.options.items() if option.default}
