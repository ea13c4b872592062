"""Generated files are what the declarations say: `python3 -m docs.generate` regenerates them."""
from __future__ import annotations

import subprocess
import sys

from docs.generate.__main__ import files
from jobs_lib import catalogue
from jobs_lib.config import loader, settings
from tests.house.source import ROOT, each

FILES = files()


@each("name", FILES)
def test_a_generated_file_is_up_to_date(name):
    assert (ROOT / name).read_text(encoding="utf-8") == FILES[name], "run: python3 -m docs.generate"


def test_one_command_makes_them_all_and_tells_what_is_old():
    run = subprocess.run([sys.executable, "-m", "docs.generate", "--check"], cwd=ROOT,
                         capture_output=True, text=True)
    assert (run.returncode, run.stdout) == (0, "every generated file is up to date\n")


@each("section", settings.SECTIONS)
def test_every_section_and_option_is_documented(section):
    example = FILES["config.ini.example"].partition(f"\n[{section}]\n")[2].partition("\n[")[0]
    for name, option in settings.SECTIONS[section].items():
        assert f"\n#{name} =" in example
        assert " ".join(option.meaning.split()) in " ".join(example.replace("\n#", "").split())
    assert f"| `[{section}]` |" in (ROOT / "docs" / "configuration.md").read_text("utf-8")


# R63
def test_the_env_example_has_each_jobs_schedule_delays_and_retention(tmp_path):
    lines = [line[1:] for line in FILES[".env.example"].splitlines() if line.startswith("#JOBS_")]
    (tmp_path / ".env").write_text("\n".join(lines))
    given = loader.load(None, beside=str(tmp_path), environ={})
    jobs = catalogue.load_all()
    given.check(jobs)
    named = {line.partition("=")[0] for line in lines}
    for job in jobs:
        options = {name: option for name, option in settings.job_options(job).items()
                   if not option.argument}
        assert {f"JOBS_{job.name}_{name}".upper() for name in ("schedule", *job.options)
                if name in options} <= named
        for name, option in options.items():
            assert given.written(job.name, name, option).text == option.default
    assert {"JOBS_EXPORT_KEEP", "JOBS_ARCHIVE_KEEP", "JOBS_MAIL_PASSWORD",
            "JOBS_RETRY_WEBHOOKS_DELAYS"} <= named


def test_arguments_of_a_run_are_in_no_example():     # R63
    for job in catalogue.load_all():
        own = FILES["config.ini.example"].partition(f"\n[{job.name}]\n")[2].partition("\n[")[0]
        for name in [name for name, option in job.options.items() if option.argument]:
            assert f"\n#{name} =" not in own
            assert f"#JOBS_{job.name}_{name}=".upper() not in FILES[".env.example"]


def test_no_generated_file_tells_of_this_machine():
    assert [name for name, text in FILES.items() if str(ROOT) in text
            or sys.executable in text] == []
