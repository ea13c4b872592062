"""Regenerates docs/jobs.md from the declarations."""
from __future__ import annotations

import re

from jobs_lib import schedule
from jobs_lib.catalogue import PRIORITIES
from jobs_lib.database.schema.app_tables import TABLES
from jobs_lib.database.schema.fit import works
from jobs_lib.output.layout import wrapped

WIDTH = 120
GENERATED = ("<!-- Generated from the declarations in jobs_lib. To generate it again: "
             "`python3 -m docs.generate` -->")

JOBS_HEAD = """\
# What runs when

Every job, what it does, when it is due and what you can set. Times are in `[core] timezone`
(default UTC).

- `python3 jobs.py list` shows the same for your installation, with the next and the last run of
  each.
- `python3 jobs.py JOB --dry-run` shows what a job would do now, and changes nothing. Without
  `--dry-run` it runs.
- `python3 jobs.py pause JOB` keeps cron from starting a job, until `python3 jobs.py resume JOB`. By
  hand a paused job still runs.
- A job is due when the latest time of its schedule has not been started. So cron may run late,
  rarely or twice: each time is run once, and a job missed for days runs once.
- Each job may run twice, at any time, after a kill or not: its section says why that does no harm,
  and in [guarantees.md](guarantees.md#run-it-twice) what holds for all.
- Each job has a section of its own name in `config.ini`. `config.ini.example` has its options with
  their defaults and meanings; [configuration.md](configuration.md) explains how values are written.
"""


def jobs_page(jobs: list) -> str:
    """docs/jobs.md, as Markdown."""
    lines = [GENERATED, "", *JOBS_HEAD.rstrip("\n").split("\n"), "", *_overview(jobs)]
    for job in jobs:
        lines += ["", *_job(job)]
    return "\n".join(lines) + "\n"


def _parted(job) -> tuple[dict, dict]:
    """(its options, the arguments of its runs)."""
    return ({name: option for name, option in job.options.items() if not option.argument},
            {name: option for name, option in job.options.items() if option.argument})


def _overview(jobs: list) -> list[str]:
    rows = ["| job | what | when | priority |", "|---|---|---|---|"]
    for job in sorted(jobs, key=lambda job: (PRIORITIES.index(job.priority), job.name)):
        rows.append(f"| [`{job.name}`](#{job.name}) | {_cell(job.summary)} | {_when(job)} | "
                    f"{job.priority} |")
    return rows


def _job(job) -> list[str]:
    lines = [f"## {job.name}", "", *_doc(job.doc), "",
             (f"- When: {_when(job)} (`{job.schedule}`), priority {job.priority}, at most "
             f"{job.budget} a run.")]
    if job.sections:
        lines.append(f"- Reads {', '.join(f'`[{name}]`' for name in job.sections)} too.")
    marks = works(job.tables)
    if tables := [f"`{name}`" + (" (written)" if marks[name] else "")
                  for name in TABLES if name in marks]:
        lines += wrapped(f"- Needs the tables {', '.join(tables)}.", WIDTH, "", "  ")
    for title, known in zip(("Options", "For one run, by `--set` only"), _parted(job)):
        if known:
            lines += wrapped(f"- {title}: {', '.join(f'`{name}`' for name in known)}.", WIDTH, "",
                             "  ")
    return lines


def _doc(doc: str) -> list[str]:
    """The docstring as Markdown; an indented table or list becomes a code block."""
    lines: list[str] = []
    for block in doc.strip().split("\n\n"):
        indented = any(line.startswith(" ") for line in block.split("\n"))
        lines += [*([""] if lines else []),
                  *((f"    {line}" for line in block.split("\n")) if indented
                    else wrapped(block, WIDTH))]
    return lines


def _when(job) -> str:
    when = schedule.words(schedule.parse(job.schedule))
    return when if job.enabled else f"off; once enabled, {when}"


def _cell(text: str) -> str:
    """Text within a table of Markdown."""
    return re.sub(r"\s+", " ", text).replace("|", "\\|")
