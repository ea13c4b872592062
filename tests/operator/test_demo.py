"""`jobs.py demo`: real runs on a made-up service, in a folder of its own, with bare Python."""
from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys

import pytest

from tests.support.shell import LAUNCH, ROOT, Shell

PLAIN = {"PATH": os.defpath, "PYTHONDONTWRITEBYTECODE": "1"}


class Bare(Shell):
    """With the bare Python: no package."""

    def start(self, *words: str, **how) -> subprocess.Popen:
        return super().start(*words, options=("-S",), **how)

    def asked(self, *words: str) -> str:
        """What jobs.py says of the demo's installation."""
        return self.run("--config", "demo/config.ini", *words)


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """One demo in the folder `demo` of an empty one, and what was `printed`."""
    above = Bare(tmp_path_factory.mktemp("above"))
    above.url = f"sqlite:///{above.folder}/demo/jobs.db"
    done = above("demo", "--dir", "demo")
    assert (done.code, done.err) == (0, "")
    above.printed = done.out
    yield above
    above.close()


def test_a_newcomer_reads_one_screen(demo):
    lines = demo.printed.splitlines()
    assert len(lines) <= 40
    assert [line for line in lines if len(line) > 80 and "/demo" not in line] == []
    text = " ".join(demo.printed.split())
    assert "Its rows are made up, the runs are real." in text
    assert re.search(r"forwards 4 sent, .*notices \d+ sent.*old rows [\d,]+ deleted", text)


def test_every_job_is_due_runs_and_finds_something_to_do(demo):
    found = demo.db.query("SELECT * FROM {job_runs} WHERE host <> 'made-up'")
    jobs = {each["name"] for each in json.loads(demo.asked("list", "--json"))}
    assert {(run["status"], run["trigger_type"]) for run in found} == {("ok", "scheduled")}
    assert {run["job"] for run in found if any(json.loads(run["counts"]).values())} == jobs - {
        "check_domains"}


def test_it_goes_on_living(demo):
    found = json.loads(demo.asked("doctor", "--json"))
    assert [each for each in found if each["level"] in ("problem", "warning")] == []
    assert demo.asked("status").startswith("Nothing needs you.")
    page = (demo.folder / "demo" / "status.html").read_text()
    assert ("Nothing needs you" in page, "made up" in page) == (True, True)
    assert {each["status"] for each in json.loads(demo.asked("run-due", "--json"))} <= {"ok"}
    assert demo.asked("run-due") == ""


def test_the_commands_it_ends_with_can_be_typed(tmp_path):
    printed = re.compile(r"(?m)^  (\S.*jobs\.py'? --config.*)$")
    commands = printed.findall(Bare(tmp_path).run("demo", "--dir", "my demo"))
    assert len(commands) == 4
    commands.append(commands[-1].replace("keep=60d", "keep=14d"))       # more than the guard lets
    for command in commands:
        assert shlex.split(command)[3] == f"{tmp_path}/my demo/config.ini"
        typed = subprocess.run(command, shell=True, cwd=ROOT, text=True, capture_output=True,
                               timeout=60, env={**PLAIN, "PATH": os.environ["PATH"]})
        assert typed.returncode == 0, command + typed.stdout + typed.stderr
        assert ("--set keep=60d" in command) <= ("  id  direction" in typed.stdout)
        commands += printed.findall(typed.stdout) if command.endswith(" --set keep=14d") else []
    assert re.search(": [0-9]+ deleted", typed.stdout), commands        # by --yes     R79


def test_only_its_own_files_are_replaced(demo, tmp_path):
    (demo.folder / "demo" / "spool" / "left.eml").write_text("from the demo before")
    (demo.folder / "demo" / "notes.txt").write_text("my own")
    assert "4 sent" in demo.run("demo", "--dir", "demo")
    assert not (demo.folder / "demo" / "spool" / "left.eml").exists()
    assert (demo.folder / "demo" / "notes.txt").read_text() == "my own"
    for path in (demo.folder / "demo").rglob("*"):
        assert path.name in ("status.html", "notes.txt") or path.stat().st_mode & 0o077 == 0, path
    (tmp_path / "thesis.txt").write_text("three years of work")
    done = Bare(tmp_path)("demo", "--dir", ".")
    assert (done.code, "is not empty and was not made by the demo" in done.err) == (2, True)
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
