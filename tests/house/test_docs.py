"""The documents tell the truth: each command, option, setting, file, column, statement and link in
them exists."""
from __future__ import annotations

import re
import shutil
import sqlite3
import subprocess
import sys
from datetime import datetime, timezone
from functools import cache

import pytest

from jobs_lib.features.forwards import srs
from tests.house import pages
from tests.house.source import ROOT, comments, each, modules, tree

by_page = each("page", pages.PAGES)

# Files that are elsewhere, or come to be: by the operator, his panel, his tools.
MADE_UP = ("first.txt", "again.answer.txt", "jobs_lib/jobs/expire_webhook_secrets.py",
           "tests/jobs/test_expire_webhook_secrets.py")
ELSEWHERE = ("config.ini", ".env", ".venv", "vendor", "demo")


def code(page) -> list[pages.Code]:
    return pages.parts(page.read_text(encoding="utf-8"))[0]


def blocks(page, language: str | None = None) -> list[str]:
    """The fenced blocks of a page."""
    found = re.findall(r"(?ms)^ *```(\w*)\n(.*?)^ *```", page.read_text(encoding="utf-8"))
    return [text for tag, text in found if language is None or tag == language]


# Commands

@by_page
def test_every_command_line_is_one_that_the_program_takes(page):
    wrong = [f"line {piece.line}: jobs.py {' '.join(words)}: {problem}" for piece in code(page)
             for words in pages.commands(piece.text) if (problem := pages.wrong_command(words))]
    assert wrong == []


# Options, settings, variables, columns

@by_page
def test_every_option_setting_variable_and_column_in_a_sentence_exists(page):
    wrong = [f"line {piece.line}: `{piece.text}`: {problem}" for piece in code(page)
             if piece.language is None and (problem := pages.wrong_span(piece.text))]
    assert wrong == []


@by_page
def test_every_setting_in_a_block_exists(page):
    wrong = []
    for block in [*blocks(page), *re.findall(r"(?m)(?:^    .*\n)+",
                                             page.read_text(encoding="utf-8"))]:
        section = None
        for line in block.split("\n"):
            title = re.fullmatch(r"\s*\[([a-z_]+)\]", line)
            setting = re.fullmatch(r"\s*([a-z_]+) = (.*)", line)
            if title:
                section = title[1]
                wrong.append(pages.wrong_setting(section, "", None))
            elif setting and section:
                wrong.append(pages.wrong_setting(section, setting[1], setting[2]))
    assert [problem for problem in wrong if problem] == []


# Files

@pytest.fixture(scope="module")
def made(tmp_path_factory) -> set[str]:
    """What an installation has in its folder var once it has run: the demo's, for real."""
    folder = tmp_path_factory.mktemp("docs") / "demo"
    subprocess.run([sys.executable, "jobs.py", "demo", "--dir", str(folder)], cwd=ROOT,
                   capture_output=True, check=True)
    found = {str(path.relative_to(folder)) for path in folder.rglob("*")}
    found |= {"var", "maildir"}
    return found | {f"{name}.1" for name in found if name.endswith(".log")}


def file_named(text: str) -> str | None:
    """The path that a piece of code names below the project's folder, if it names one."""
    text = re.sub(r"\A(?:\./|/home/you/jobs/)", "", text).rstrip("/")
    if re.fullmatch(r"[\w.-]+(?:/[\w.-]+)*",
                    text) is None or re.search(r"[A-Z]{3,}_?(?![A-Z]*\.md|[A-Z]*\Z)", text):
        return None
    known_end = re.search(r"\.(?:py|md|sh|ini|txt|toml|db|log|example|htaccess|env)\Z", text)
    minutes = re.fullmatch(r"[\d-]+/\d+", text)                      # of a crontab
    return text if known_end or ("/" in text and not minutes) else None


def is_there(path: str, page, made: set[str]) -> bool:
    first = path.partition("/")[0]
    return (any((folder / path).exists() for folder in (ROOT, ROOT / "jobs_lib", page.parent))
            or first in ELSEWHERE
            or path.removeprefix("var/") in made or path.replace("state_dir/", "state/") in made)


@by_page
def test_every_file_that_is_named_exists(page, made):
    wrong = [f"line {piece.line}: {path}" for piece in code(page) if piece.language is None
             and (path := file_named(piece.text)) and path not in MADE_UP and not is_there(path,
                                                                                           page,
                                                                                           made)]
    wrong += [f"line {piece.line}: {path}" for piece in code(page) if piece.language
              for word in re.findall(r"(?:/home/you/jobs/|(?<![\w/.])(?:\./|docs/|jobs_lib/|tests/"
                                     r"|var/))[\w./-]*\w", piece.text)
              if (path := file_named(word)) and path not in MADE_UP
              and not is_there(path, page, made)]
    assert wrong == []


# Links

@by_page
def test_every_link_leads_somewhere(page):
    wrong = []
    for target in pages.links(page.read_text(encoding="utf-8")):
        path, _, anchor = target.partition("#")
        if path.startswith(("http://", "https://")):
            continue
        there = (page.parent / path).resolve() if path else page
        if not there.exists():
            wrong.append(target)
        elif (anchor and there.suffix == ".md"
              and anchor not in pages.slugs(there.read_text(encoding="utf-8"))):
            wrong.append(f"{target}: no such heading")
    assert wrong == []


def test_every_page_can_be_reached_from_the_readme():
    reached, waiting = set(), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in reached or page.suffix != ".md" or not page.exists():
            continue
        reached.add(page)
        waiting += [(page.parent / target.partition("#")[0]).resolve()
                    for target in pages.links(page.read_text(encoding="utf-8"))
                    if "://" not in target]
    assert [pages.name(page) for page in pages.PAGES if page not in reached] == []


# Words

@by_page
def test_a_page_speaks_of_nothing_that_its_reader_cannot_see(page):
    assert pages.forbidden(page.read_text(encoding="utf-8")) == []


# Statements and programs

def test_every_page_and_heading_that_the_code_names_is_there():
    """In its messages, docstrings and comments."""
    everything = "\0".join([our_messages(), *(comments(path) for path in modules().values())])
    pages_named = set(re.findall(r"docs/([a-z-]+\.md)", everything))
    assert len(pages_named) > 10
    assert [page for page in pages_named if not (ROOT / "docs" / page).exists()] == []
    named = re.findall(r'docs/([a-z-]+\.md), "?([A-Z][^.,:)"\0]*)', everything)
    wrong = []
    for page, words in named:
        titles = re.findall(r"(?m)^#+ (.*)$", (ROOT / "docs" / page).read_text(encoding="utf-8"))
        if not any(words.startswith(title) or title.startswith(words) for title in titles):
            wrong.append(f"{page}, {words}")
    assert len(named) > 8
    assert wrong == []


def test_every_event_that_is_logged_stands_in_the_page_about_logs():
    import ast
    logged = {node.args[0].value for path in modules().values() for node in ast.walk(tree(path))
              if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
              and node.func.attr in ("event", "warning", "error")
              and ast.unparse(node.func.value).rpartition(".")[2] == "log"
              and node.args and isinstance(node.args[0], ast.Constant)}
    page = (ROOT / "docs" / "logs.md").read_text(encoding="utf-8")
    assert len(logged) > 40
    assert sorted(event for event in logged if f"`{event}`" not in page) == []


ADDING = ROOT / "docs" / "add-a-job.md"


def test_the_purge_that_is_walked_through_is_the_one_that_is_there():
    assert blocks(ADDING, "python")[0] == (ROOT / "jobs_lib" / "jobs"
                                           / "purge_magic_links.py").read_text("utf-8")


@pytest.mark.slow
def test_the_job_that_is_walked_through_works_and_appears_everywhere(tmp_path):
    """The page's own test and job, in a copy of the program, with what the page says comes by
    itself."""
    copy = tmp_path / "jobs"
    for part in ("jobs_lib", "tests", "docs"):
        shutil.copytree(ROOT / part, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
    for part in ("jobs.py", "pyproject.toml"):
        shutil.copy(ROOT / part, copy)
    _, test, job = blocks(ADDING, "python")
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


def statements() -> list[str]:
    text = "\n".join(block for page in pages.PAGES for block in blocks(page))
    return re.findall(r"(?ms)^((?:SELECT|INSERT|UPDATE|DELETE)\b.*?);$", text)


def test_every_sql_statement_runs(tmp_path):
    (tmp_path / "config.ini").write_text("[core]\ndatabase = sqlite:///jobs.db\n")
    subprocess.run([sys.executable, "jobs.py", "--config", str(tmp_path / "config.ini"), "migrate"],
                   cwd=ROOT, check=True)
    raw = sqlite3.connect(tmp_path / "jobs.db")
    found = statements()
    assert len(found) >= 4
    for sql in found:
        raw.execute(sql.replace("UTC_TIMESTAMP()", "datetime('now')"))
    raw.close()


BOUNCE = (b"From: MAILER-DAEMON@relay.example\r\nMIME-Version: 1.0\r\n"
          b"Content-Type: multipart/report; report-type=delivery-status; boundary=x\r\n\r\n"
          b"--x\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; "
          b"relay.example\r\n\r\nFinal-Recipient: rfc822; Jane@Home.example\r\nAction: "
          b"failed\r\nStatus: 5.1.1\r\n\r\n--x--\r\n")


def test_the_program_for_bounces_notifies_the_owner_and_never_the_sender(bench):        # R36
    (program,) = [block for block in blocks(ROOT / "docs" / "mail.md") if "is_our_bounce" in block]
    space: dict = {}
    exec(program, space)
    address = srs.forward("bob@sender.example", "alias.example", "secret",
                          datetime.now(timezone.utc))
    assert space["is_our_bounce"](address, "secret")
    assert not space["is_our_bounce"](address, "other")
    bench.table("users", [{"id": 1, "email": "jane@home.example"},
                          {"id": 2, "email": "eve@eve.example"}])
    verified = bench.ago(days=1)
    bench.table("destinations", [{"user_id": 1, "email": "jane@home.example",
                                  "verified_at": verified},
                                 {"user_id": 1, "email": "jane@work.example",
                                  "verified_at": verified},
                                 # not proven to be hers
                                 {"user_id": 2, "email": "jane@home.example"}])
    for _ in range(2):
        space["take_bounce"](bench.db, BOUNCE, bench.now)
    notice, = bench.rows("notifications")
    assert (notice["user_id"], notice["to_email"]) == (1, "jane@work.example")
    logged = [(row["user_id"], row["status"]) for row in bench.rows("message_logs")]
    assert logged == [(1, "bounced")] * 2
    assert bench.run("send_notifications")["sent"] == 1
    assert bench.outbox[0].recipient == "jane@work.example"


# What Python, the system or cron say, in their words; and what stands for any reason.
NOT_SAID_BY_US = re.compile(r"Connection refused|Name or service|certificate has expired"
                            r"|unable to get local|disk I/O error|WRONG_VERSION|No space left"
                            r"|Disk quota|Traceback|No such file|denied to user|Hostname mismatch")


@cache
def our_messages() -> str:
    """Every text in the program, what is put into it left out."""
    import ast
    found = []
    for path in modules().values():
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.JoinedStr):
                found.append("\0".join(part.value for part in node.values
                                       if isinstance(part, ast.Constant)))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return " ".join("\0".join(found).split())


def test_every_message_that_is_explained_is_one_that_the_program_says():
    page = ROOT / "docs" / "failures.md"
    text, everything = page.read_text(encoding="utf-8"), our_messages()
    messages = [line.strip() for block in blocks(page) for line in block.split("\n")
                if "problems in" not in line]
    messages += [found[1] for found in re.finditer(r"(?m)^\| `([^`|]+)`", text)]
    wrong = []
    for message in messages:
        words = message.replace("...", "").split()
        if len(words) < 5 or message.startswith(("SELECT",
                                                 "UPDATE")) or NOT_SAID_BY_US.search(message):
            continue
        runs = [" ".join(words[at:at + 3]) for at in range(len(words) - 2)]
        if sum(run in everything for run in runs) < max(1, len(runs) // 8):
            wrong.append(message)
    assert len(messages) > 40
    assert wrong == []


# The net itself


@pytest.mark.parametrize("text", [
    "jobs.py docter", "jobs.py replay letter 3", "jobs.py retry_forwards --set delay=1h",
    "a && /usr/bin/python3 /home/you/jobs/jobs.py config chek", "--dryrun", "[mial]", "[mail] hots",
    "[mail] port = abc", "per_hours = 80", "JOBS_MAIL_HOTS", "failed_emails.state", "see issue 3",
    "fixed in #12", "look at https://pypi.org/x", "see design.md", "cd /root/x"])
def test_what_is_wrong_is_caught(text):
    assert (any(pages.wrong_command(words) for words in pages.commands(text))
            or pages.wrong_span(text) or pages.forbidden(text))
