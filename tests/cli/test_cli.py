"""The command line: help worth reading, the nearest name for a wrong one, exit codes, an upload as
FTP makes it."""
from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys

import pytest

from jobs_lib import catalogue, commands
from jobs_lib.cli.main import main
from tests.support.shell import ROOT, Ended, Shell

COMMANDS = commands.names()
JOBS = catalogue.names()
JOBS_PY = shlex.join([sys.executable, str(ROOT / "jobs.py")])


@pytest.fixture
def here(tmp_path, monkeypatch, capsys):
    """`here("list")`: jobs.py in this process, as a process of its own takes twenty times as long.
    (Each help is asked of a process of its own in the test of an upload.)"""
    config = tmp_path / "config.ini"
    config.write_text("[core]\ndatabase = sqlite:///jobs.db\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JOBS_CONFIG", str(config))

    def call(*words: str) -> Ended:
        capsys.readouterr()
        try:
            code = main(list(words))
        except SystemExit as asked:
            code = asked.code
        return Ended(code, *capsys.readouterr())
    return call


# Help

def test_the_overview_names_every_command_and_job(line):
    out = line("--help").out
    assert line().out == line("help").out == line("-h").out == out
    assert max(map(len, out.splitlines())) <= 80
    commands, _, jobs = out.partition("\njobs:\n")
    assert re.findall(r"(?m)^  ([a-z][a-z-]+)  +\w", commands) == sorted(
        [*COMMANDS, "help", "version"])
    assert jobs.replace(",", "").split() == JOBS
    for word in ("--version", "-V", "version"):
        assert re.fullmatch(r"jobs\.py \d+\.\d+\.\d+, Python 3\.\d+\.\d+\S*\n", line(word).out)


@pytest.mark.parametrize("name", [*COMMANDS, *JOBS])
def test_help_begins_with_what_it_does_and_needs_no_configuration(tmp_path, here, name):
    (tmp_path / "config.ini").write_text("[core]\nbudget = never\n[nonsense]\n")
    answer = here(name, "--help")
    assert answer.code == 0, answer
    assert answer.err == ""
    assert answer.out.startswith(f"usage: jobs.py {name} ")
    assert max(map(len, answer.out.splitlines())) <= 80
    assert name == "demo" or "--config FILE, anywhere on the line" in answer.out
    assert here("help", name).out == answer.out
    words = " ".join(answer.out.split())
    job = catalogue.load(name) if name in JOBS else None
    doc = job.doc if job else commands.load(name).__doc__
    assert doc.strip().partition("\n")[0] in words
    assert job is None or f"({job.schedule})" in words
    for option_name, option in (job.options if job else {}).items():
        assert option.meaning in words
        assert f"  {option_name} = {option.default}\n" in answer.out


@pytest.mark.parametrize("words", [[], ["queue", "--help"], ["retry_forwards", "--help"],
                                   ["config", "show"], ["list"], ["retry_forwards", "--limt", "5"],
                                   ["config", "check"]], ids=" ".join)
def test_what_a_terminal_shows_fits_80_columns(line, words):
    too_long = [text for text in line.on_terminal(*words) if len(text) > 80]
    # a path alone is never broken
    assert [text for text in too_long if " " in text.strip()] == []


# Wrong words

@pytest.mark.parametrize("words, expected", [
    (["retry_forward"],
     "there is no job or command 'retry_forward'; did you mean 'retry_forwards'?"),
    (["retry"],
     "there is no job or command 'retry'; did you mean 'retry_forwards' or 'retry_webhooks'?"),
    (["retry-forwards"],
     "there is no job or command 'retry-forwards'; did you mean 'retry_forwards'?"),
    (["run_due"], "there is no job or command 'run_due'; did you mean 'run-due'?"),
    (["hsitory"], "there is no job or command 'hsitory'; did you mean 'history'?"),
    (["xyzzy"], "there is no job or command 'xyzzy' (`jobs.py --help` shows them)"),
    (["--jsno", "list"], "--jsno: expected a job or a command first"),
    (["history", "retry_forwrds"],
     "there is no job 'retry_forwrds'; did you mean 'retry_forwards'?"),
    (["pause", "retry_forwrds"], "there is no job 'retry_forwrds'; did you mean 'retry_forwards'?"),
    (["pause"], "pause: the following arguments are required: JOB"),
    (["retry_forwards", "--dry-rnu"],
     "retry_forwards: --dry-rnu: there is no such option; did you mean '--dry-run'?"),
    (["retry_forwards", "--dry"],
     "retry_forwards: --dry: there is no such option; did you mean '--dry-run'?"),
    (["history", "--limt=5"], "history: --limt: there is no such option; did you mean '--limit'?"),
    (["retry_forwards", "now"], "retry_forwards: unexpected argument 'now'"),
    (["retry_forwards", "--limit", "0"],
     "argument --limit: expected a whole number above 0, not '0'"),
    (["retry_forwards", "--set", "dleays=1h"],
     "[retry_forwards] has no such option; did you mean 'delays'?"),
    (["config", "shwo"], "'shwo': expected show, check, set or example; did you mean 'show'?"),
    (["config", "show", "mial"], "there is no section [mial]; did you mean 'mail'?"),
    (["crontab", "--style", "perjob"],
     "'perjob': expected one-line or per-job; did you mean 'per-job'?"),
    (["replay", "forwrads", "1"],
     "'forwrads': expected forwards, notifications or webhooks; did you mean 'forwards'?"),
    (["list", "--config"], "--config: expected a file after it"),
    (["run-due", "--budget", "-4m"],
     "--budget: expected a value after it, and none that begins with -"),
    (["history", "--limit", "0"], "expected a whole number, 1-100000, not '0'"),
    (["history", "--limit", "9" * 5000], f"expected a whole number, 1-100000, not '{'9' * 40}'"),
], ids=lambda words: " ".join(words)[:60] if isinstance(words, list) else "")
def test_a_wrong_argument_is_one_sentence_with_the_nearest_right_one(here, sqlite_url, words,
                                                                     expected):
    answer = here(*words)
    assert answer.code == 2, answer
    assert expected in answer.err
    assert answer.err.startswith("jobs.py: ")
    assert answer.err.count("\n") == 1
    assert answer.out == ""


ODD = ("", " ", "-", "x" * 10_000, "--=", "\udcff")
OF_OPTIONS = [["run-due", "--budget"], ["crontab", "--style"],
              ["config", "show"], ["replay", "forward"], ["test", "retry_forwards", "--limit"],
              ["retry_forwards", "--set"], ["history", "--limit"], ["help"], ["report", "--output"]]


def refused(ask, words) -> None:
    answer = ask(*words)
    assert answer.code in (1, 2, 78), words
    assert "Traceback" not in answer.err
    assert answer.err.count("\n") == 1
    assert len(answer.err) < 1000
    assert answer.out == ""


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: repr(odd[:5]))
def test_an_odd_word_anywhere_is_refused_in_a_sentence(tmp_path, here, sqlite_url, odd):     # R63
    """In processes of their own where a system's words are not those of Python."""
    ask = Shell(tmp_path) if odd == "\udcff" else here
    refused(ask, ["--config", odd, "list"])
    for words in ([], *([name] for name in JOBS[:1] + COMMANDS), *OF_OPTIONS):
        if words != ["report", "--output"] or odd == " ":
            # the name of a file may be anything
            refused(ask, [*words, odd])


# Which configuration

def test_the_configuration_is_named_anywhere_on_the_line(tmp_path):
    path = Shell(tmp_path).ini("[core]\ntimezone = Europe/Berlin\n")
    other = Shell(tmp_path / "other")
    other.folder.mkdir()
    for words in (["--config", str(path), "config", "show", "core"], ["config", "show", "core",
                                                                      f"--config={path}"],
                  ["config", "--config", str(path), "show", "core"]):
        assert "timezone = Europe/Berlin" in other(*words).out
    assert "timezone = Europe/Berlin" in other("config", "show", "core", JOBS_CONFIG=str(path)).out


@pytest.mark.parametrize("words", [["run-due"], ["list"], ["config", "check"]], ids=" ".join)
def test_a_missing_configuration_is_reported(tmp_path, words):
    answer = Shell(tmp_path)("--config", "none.ini", *words)
    assert answer.code == 78
    assert answer.err == ("jobs.py: there is no file none.ini: name your config.ini by --config or "
                          "JOBS_CONFIG\n")


@pytest.mark.parametrize("words", [["run-due"], ["retry_forwards"], ["retry_forwards", "--dry-run"],
                                   ["list"], ["history"], ["crontab"], ["migrate"]], ids=" ".join)
def test_a_broken_core_stops_everything_with_all_its_problems(line, words):      # R63
    path = line.ini("[core]\nbudget = long\nlock = none\n[nonsense]\n")
    answer = line(*words)
    assert answer.code == 78
    assert answer.err.splitlines()[0] == "jobs.py: 3 problems in the configuration:"
    for part in ("[nonsense]: there is no such section", "[core] budget = 'long'",
                 "[core] lock = 'none'"):
        assert part in answer.err
    assert str(path) in answer.err


# A shell, cron, and what is in between

@pytest.mark.parametrize("command, begins", [
    ("config example | head -n 1", "# "),               # a reader that stops early
    ("run-due >&- 2>&-", ""), ("list >&-", ""),         # closed streams
    ("config show mail", "Configuration: ")])                    # no such letters: m\u00fcller
def test_what_a_shell_does_to_the_streams_is_no_error(line, command, begins):
    line.ini("[core]\ndatabase = sqlite:///jobs.db\n[mail]\nusername = m\u00fcller\n")
    line("migrate")
    run = subprocess.run(f"{JOBS_PY} --config config.ini {command}", shell=True, text=True,
                         capture_output=True, cwd=line.folder,
                         env={"PATH": "/usr/bin:/bin", "PYTHONIOENCODING": "ascii", "LC_ALL": "C"})
    assert "Traceback" not in run.stderr
    assert run.stdout.startswith(begins)
    assert run.returncode == 0, run.stderr
    assert "m\u00fcller" not in run.stdout


# An upload

@pytest.fixture
def upload(tmp_path):
    """The bundle as FTP in text mode leaves it: Windows line ends in every file, no run bits,
    beside its data."""
    home = tmp_path / "upload"
    shutil.copytree(ROOT / "jobs_lib", home / "jobs_lib",
                    ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "jobs.py", home)
    (home / "config.ini").write_text("[core]\ndatabase = sqlite:///var/jobs.db\n[mail]\ntransport "
                                     "= maildir\n")
    (home / ".env").write_text("JOBS_MAIL_DOMAIN='service.example'\n")
    for path in home.rglob("*"):
        if path.is_file() and path.suffix != ".eml":
            path.write_bytes(path.read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))
            path.chmod(0o644)
    return Shell(home, script=home / "jobs.py")


def test_an_upload_with_windows_line_ends_and_no_run_bits_works(upload):        # R65
    assert upload("migrate").out.endswith("the schema is up to date\n")
    assert upload("config", "check").code == 0
    assert "domain = service.example" in upload("config", "show", "mail").out
    assert upload("run-due") == (0, "", "")
    assert upload("retry_forwards") == (0, "", "")
    # twice, where a slot turned meanwhile
    assert "retry_forwards" in upload("history").out
    for name in ("retry_forwards", "preview"):
        assert upload(name, "--help").code == 0, name


@pytest.mark.parametrize("place", ["vendor", ".venv/lib/python{}.{}/site-packages"])
def test_packages_beside_the_program_are_found(upload, place):
    folder = upload.folder / place.format(*sys.version_info[:2])
    folder.mkdir(parents=True)
    (folder / "pymysql.py").write_text("raise SystemExit('found beside the program')\n")
    (upload.folder / "config.ini").write_text("[core]\ndatabase = mysql://me:secret@127.0.0.1/x\n")
    assert "found beside the program" in upload("migrate").err


def test_a_broken_job_file_is_reported_and_stops_no_other(upload):
    upload("migrate")
    job = upload.folder / "jobs_lib" / "jobs" / "purge_failed_emails.py"
    job.write_bytes(job.read_bytes() + b"job = purge(\n")       # the upload ended there
    answer = upload("run-due")
    assert answer.code == 1
    assert answer.err.startswith("jobs.py run-due: the job purge_failed_emails cannot be loaded: "
                                 "SyntaxError")
    assert answer.err.count("\n") == 1
    assert upload("retry_forwards").code == 0
    assert "retry_forwards" in upload("list").out
    assert upload("purge_failed_emails").err.startswith("jobs.py: the job purge_failed_emails "
                                                        "cannot be loaded")


# What cannot be wrong

def test_no_job_is_named_like_a_command_or_a_section():
    from jobs_lib.config.settings import SECTIONS, TABLES

    plain = [name.replace("-", "_") for name in COMMANDS]
    assert not set(JOBS) & {*plain, *SECTIONS, TABLES, "help"}
