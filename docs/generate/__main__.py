"""`python3 -m docs.generate`: write every generated file again, from the declarations.

With `--check` nothing is written: it lists the files that are out of date, and exits 1 if there are
any.
"""
from __future__ import annotations

import os
import sys

from docs.generate import data_model, docs, drawing, measured, simulated
from jobs_lib import catalogue, crontab, schedule
from jobs_lib.commands import _config_example as config_example
from jobs_lib.config import settings, variable_name
from jobs_lib.config.settings import SECTIONS

HOME = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
START = ["/usr/bin/python3", "/home/you/jobs/jobs.py"]
ENV_HEAD = """\
# Secrets, and each job's schedule, retries and retention, if you prefer not to have them in
# config.ini: copy this file to .env, beside it, with mode 0600, and remove the # before what you
# change. It needs python-dotenv, which ./install.sh installs. Every option of config.ini.example
# can be set here: JOBS_<SECTION>_<OPTION>. It overrides config.ini, and variables of the
# environment override both. Write a value with spaces, quotes or # in 'single quotes'.
"""
CRONTAB_HEAD = """\
# Two crontabs to choose from, with example paths. Replace them with your own, or let
# `jobs.py crontab` print either with the right ones. Use one of the two. Using both
# is harmless: a time that was started is not started again.

# === Style 1: one line for everything (jobs.py crontab) ===

"""
SECOND_HEAD = """
# === Style 2: a line for each job (jobs.py crontab --style per-job) ===

"""


def files() -> dict[str, str]:
    """{path below the project's folder: its text}."""
    jobs = catalogue.load_all()
    return {
        "config.ini.example": config_example.config_ini(jobs),
        ".env.example": env_example(jobs),
        "crontab.txt": crontab_txt(jobs),
        "docs/jobs.md": docs.jobs_page(jobs),
        "docs/data-model.md": data_model.data_model_page(),
        docs.PAGE: docs.guarantees_page(_text(docs.PAGE), jobs),
        drawing.PAGE: drawing.page(_text(drawing.PAGE)),
        measured.PAGE: measured.page(_text(measured.PAGE)),
        simulated.PAGE: simulated.page(_text(simulated.PAGE)),
    }


def _text(name: str) -> str:
    with open(os.path.join(HOME, name), encoding="utf-8") as file:
        return file.read()


def crontab_txt(jobs: list) -> str:
    """Both styles, as the defaults have it."""
    jobs = [job._replace(schedule=schedule.parse(job.schedule)) for job in jobs]
    zone, budget = (SECTIONS["core"][name].default for name in ("timezone", "budget"))
    one, each = ("\n".join(crontab.lines(style, START, "example", jobs, zone=zone, budget=budget,
                                         same_clock=True)) for style in crontab.STYLES)
    return "\n".join([*crontab.opening(START), CRONTAB_HEAD + one, SECOND_HEAD + each, ""])


def env_example(jobs: list) -> str:
    """The text of .env.example: the shared options that hold secrets or say how long, and each
    job's schedule and own options."""
    lines = [ENV_HEAD, *(_variable(section, name, option)
                         for section, name, option in settings.SHARED
                         if option.kind.mask or name == "keep")]
    for job in jobs:
        lines += ["", *(_variable(job.name, name, option)
                        for name, option in config_example.own_options(job).items()
                        if name == "schedule" or name in job.options)]
    return "\n".join([*lines, ""])


def _variable(section: str, name: str, option) -> str:
    value = option.default
    quoted = f"'{value}'" if any(sign in value for sign in " #'\"") else value
    return f"#{variable_name(section, name)}={quoted}"


def main(words: list[str]) -> int:
    """Write what is out of date, and list those files. The exit code."""
    old = []
    for name, text in files().items():
        path = os.path.join(HOME, name)
        if not os.path.exists(path) or text != _text(name):
            old.append(name)
            if words != ["--check"]:
                os.makedirs(os.path.dirname(path), exist_ok=True)
                with open(path, "w", encoding="utf-8", newline="\n") as file:
                    file.write(text)
    print("\n".join(f"{'old' if words == ['--check'] else 'written'}: {name}" for name in old)
          or "every generated file is up to date")
    return 1 if old and words == ["--check"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
