"""From the declarations: docs/jobs.md, and the table of docs/guarantees.md."""
from __future__ import annotations

import re

from jobs_lib import schedule
from jobs_lib.catalogue import PRIORITIES
from jobs_lib.database.schema.app_tables import TABLES
from jobs_lib.database.schema.fit import works
from jobs_lib.output.layout import wrapped

from .drawing import between

WIDTH = 120
TWICE = "Killed or run twice: "         # what a docstring says last
PAGE = "docs/guarantees.md"
FILE = re.compile(r"\bdocs/([a-z-]+\.md)")      # another page, which becomes a link
BEGIN, END = "<!-- The jobs: made by `python3 -m docs.generate`. -->\n", "<!-- End. -->\n"
GENERATED = ("<!-- Generated from the declarations in jobs_lib. To generate it again: "
             "`python3 -m docs.generate` -->")

JOBS_HEAD = """\
# What runs when

For the operator: what each job does, when it is due, and which options it has. Times are in
`[core] timezone`, by default UTC.

- `python3 jobs.py list` shows the same for your installation, with the last and the next run.
- To run, test or pause a job by hand: [operate.md](operate.md#run-a-job-by-hand).
- When a job counts as due: [cron.md](cron.md#what-is-due).
- What happens if a job is killed or run twice: [guarantees.md](guarantees.md#run-it-twice).
- Each job has a section of its name in `config.ini`. `config.ini.example` explains its options and
  shows their defaults; [configuration.md](configuration.md) says how values are written.
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
    facts = [f"When: {_when(job)} (`{job.schedule}`), at most {job.budget} a run."]
    if job.sections:
        facts.append(f"Reads {_codes(f'[{name}]' for name in job.sections)} too.")
    marks = works(job.tables)
    if read := [name for name in TABLES if name in marks and not marks[name]]:
        facts.append(f"Reads {_codes(read)}.")
    if written := [name for name in TABLES if marks.get(name)]:
        facts.append(f"Writes {_codes(written)}.")
    for title, known in zip(("Options", "For one run, by `--set` only"), _parted(job)):
        if known:
            facts.append(f"{title}: {_codes(known)}.")
    rule = job.doc.partition("\n\n")[2].partition(TWICE)[0]
    return [f"## {job.name}", *_doc(rule), "",
            *wrapped(f"- {' '.join(facts)}", WIDTH, "", "  ")]


def _codes(names) -> str:
    return ", ".join(f"`{name}`" for name in names)


def guarantees_page(text: str, jobs: list) -> str:
    """docs/guarantees.md with why it does no harm to kill each job, or to run it twice."""
    rows = [f"| `{job.name}` | {_cell(harm[0].upper() + harm[1:])} |\n" for job in jobs
            if (harm := job.doc.partition(TWICE)[2].strip())]
    return between(text, BEGIN, END, "\n| job | killed, or run twice |\n|---|---|\n"
                   f"{''.join(rows)}\n")


def _doc(doc: str) -> list[str]:
    """The docstring as Markdown; an indented table or list becomes a code block."""
    lines: list[str] = []
    for block in doc.strip().split("\n\n"):
        indented = any(line.startswith(" ") for line in block.split("\n"))
        lines += [*([""] if lines else []),
                  *((f"    {line}" for line in block.split("\n")) if indented
                    else wrapped(FILE.sub(r"[\1](\1)", block), WIDTH))]
    return lines


def _when(job) -> str:
    return schedule.words(schedule.parse(job.schedule))


def _cell(text: str) -> str:
    """Text within a table of Markdown."""
    return re.sub(r"\s+", " ", text).replace("|", "\\|")
