"""`jobs.py demo`: real runs on a made-up service, in a folder of its own, with nothing but
Python."""
from __future__ import annotations

import json
import os
import re
import shlex
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LAUNCH = ROOT / "tests" / "support" / "launch.py"
PLAIN = {"PATH": os.defpath, "PYTHONDONTWRITEBYTECODE": "1"}


def run(folder: Path, *words: str, code: int = 0):
    """`jobs.py WORDS` with the bare Python, no package, in an empty environment."""
    done = subprocess.run([sys.executable, "-S", str(ROOT / "jobs.py"), *words], cwd=folder,
                          text=True, capture_output=True, stdin=subprocess.DEVNULL, timeout=60,
                          env=PLAIN)
    assert done.returncode == code, done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """One demo in the folder `demo` of an empty one: (the folder above, what was printed)."""
    above = tmp_path_factory.mktemp("above")
    done = run(above, "demo", "--dir", "demo")
    assert done.stderr == ""
    return above, done.stdout


@pytest.fixture
def db(demo):
    made = sqlite3.connect(demo[0] / "demo" / "jobs.db")
    yield made
    made.close()


def asked(demo, *words: str) -> str:
    """What jobs.py says of the demo's installation afterwards."""
    return run(demo[0], "--config", "demo/config.ini", *words).stdout


def test_a_newcomer_reads_one_screen(demo):
    lines = demo[1].splitlines()
    assert len(lines) <= 40
    assert [line for line in lines if len(line) > 80 and "/demo" not in line] == []
    text = " ".join(demo[1].split())
    assert "Its rows are made up, the runs are real." in text
    assert re.search(r"forwards 4 sent, .*notices \d+ sent.*old rows [\d,]+ deleted", text)


def test_every_job_is_due_runs_and_finds_something_to_do(demo, db):
    found = db.execute("SELECT job, status, trigger_type, counts FROM job_runs "
                       "WHERE host <> 'made-up' ORDER BY id").fetchall()
    jobs = {each["name"] for each in json.loads(asked(demo, "list", "--json"))}
    assert {(status, trigger) for _, status, trigger, _ in found} == {("ok", "scheduled")}
    assert {job for job, _, _, counts in found if any(json.loads(counts).values())} == jobs - {
        "check_domains"}


def test_it_goes_on_living(demo):
    found = json.loads(asked(demo, "doctor", "--json"))
    assert [each for each in found if each["level"] in ("problem", "warning")
            and each["area"] != "cron"] == []
    assert asked(demo, "status").startswith("All is well.")
    page = (demo[0] / "demo" / "status.html").read_text()
    assert ("All is well" in page, "made up" in page) == (True, True)
    assert {each["status"] for each in json.loads(asked(demo, "run-due", "--json"))} <= {"ok"}
    assert asked(demo, "run-due") == ""


def test_the_commands_it_ends_with_can_be_typed(tmp_path):
    commands = re.findall(r"(?m)^  (\S.*jobs\.py'? --config.*)$",
                          run(tmp_path, "demo", "--dir", "my demo").stdout)
    assert len(commands) == 4
    for command in commands:
        assert shlex.split(command)[3] == f"{tmp_path}/my demo/config.ini"
        typed = subprocess.run(command, shell=True, cwd=ROOT, text=True, capture_output=True,
                               timeout=60, env={**PLAIN, "PATH": os.environ["PATH"]})
        assert typed.returncode == 0, command + typed.stdout + typed.stderr


def test_only_its_own_files_are_replaced(demo, tmp_path):
    (demo[0] / "demo" / "spool" / "left.eml").write_text("from the demo before")
    (demo[0] / "demo" / "notes.txt").write_text("my own")
    assert "4 sent" in run(demo[0], "demo", "--dir", "demo").stdout
    assert not (demo[0] / "demo" / "spool" / "left.eml").exists()
    assert (demo[0] / "demo" / "notes.txt").read_text() == "my own"
    for path in (demo[0] / "demo").rglob("*"):
        assert path.name in ("status.html", "notes.txt") or path.stat().st_mode & 0o077 == 0, path
    (tmp_path / "thesis.txt").write_text("three years of work")
    done = run(tmp_path, "demo", "--dir", ".", code=2)
    assert "is not empty and was not made by the demo" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_nothing_is_connected_to_and_nothing_else_is_read_or_written(tmp_path):
    report, mine = tmp_path / "report.json", str(tmp_path / "demo")
    subprocess.run([sys.executable, LAUNCH, "demo", "--dir", "demo"], cwd=tmp_path, check=True,
                   timeout=60, capture_output=True, env={
                       **PLAIN, "LAUNCH_WATCHED": str(report), "JOBS_CONFIG": "/broken.ini",
                       "JOBS_CORE_DATABASE": f"sqlite:///{tmp_path}/mine.db"})
    tried = json.loads(report.read_text())
    assert tried
    assert [entry for entry in tried if not entry[1].startswith(mine)] == []
