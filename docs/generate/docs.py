"""Regenerates docs/jobs.md and docs/configuration.md from the declarations."""
from __future__ import annotations

import re

from jobs_lib import schedule, schedule_text
from jobs_lib.config import settings
from jobs_lib.database.schema.app_tables import TABLES
from jobs_lib.database.schema.tables import column_names
from jobs_lib.database.schema.works_on import works_on
from jobs_lib.job import PRIORITIES
from jobs_lib.output.layout import wrapped

WIDTH = 100
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

CONFIG_HEAD = """\
# Configuration

Values come from four places. A later one wins:

1. the default, as listed here;
2. `config.ini`, beside `jobs.py` (or the file named by `--config FILE` or by the environment
   variable `JOBS_CONFIG`);
3. `.env`, beside `config.ini`, as `JOBS_<SECTION>_<OPTION>`: `JOBS_MAIL_HOST` for `[mail] host`;
4. the environment, by the same names;

and for a single run `--set OPTION=VALUE` (of the job) or `--set SECTION.OPTION=VALUE`.

    python3 jobs.py config check      all mistakes at once, and values that are rarely intended
    python3 jobs.py config show       each value, and what set it; secrets are masked
    python3 jobs.py config set mail.port 465    one option; a wrong value is refused
    python3 jobs.py config example    a new config.ini, every option explained; --short: a dozen

A mistake in one job's section stops only that job; one in `[core]`, or a section that does not
exist, stops them all, since a setting that is silently ignored does more harm.

## How values are written

| kind | examples |
|---|---|
| duration | `90d`, `36h`, `15m`, `30s`, `2w` |
| size | `500KB`, `25MB`, `2GB` |
| yes or no | `yes`, `no`, `on`, `off`, `true`, `false`, `1`, `0` |
| list | `1h, 6h, 24h`; it may continue on lines that begin with a space |
| cron expression | `*/5 * * * *`: minute, hour, day, month, weekday; `17 3 * * mon-fri`; `@daily` |
| path | relative to the folder of `config.ini`; `~` is your home folder |
| database URL | `sqlite:///var/jobs.db`, `mysql://user:password@host:3306/name` |

`off` switches a rule off, where a table below says so. `0` is refused: it could mean "off" or
"everything".

In `config.ini` a comment has a line of its own and begins with `#` or `;`. A value is everything
after the `=`: `%`, `;`, `#`, `=` and quotes are part of it, so a password is written as it is. The
file is UTF-8; a byte order mark and Windows line ends do no harm.

`.env` is read by the package python-dotenv, which must be installed if the file is used. There,
write a value with spaces, quotes or `#` in 'single quotes'. Variables that do not begin with
`JOBS_` are ignored, so it may be the web app's own file.

Both files hold secrets: mode 0600, and not below the web root. `config check` warns when others can
read them.
"""

TABLES_TEXT = """\
## [tables]

For a database that exists already. Each line names one of our tables and its name there:

    [tables]
    users = members
    aliases = mail_aliases

Tables that are not listed keep their own names, after `[core] prefix`. On MySQL and MariaDB,
`database.table` names a table in another database of the server.

## [columns]

The same for the columns of tables that your app writes. Columns that are not listed have our names:

    [columns]
    users.email = mail
    message_logs.bytes_used = size

In the environment the dot is an underscore: `JOBS_COLUMNS_USERS_EMAIL`.
[adoption.md](adoption.md) goes through it step by step.
"""


ARGUMENTS_TEXT = """\
Given by hand with `--set NAME=VALUE` only: in `config.ini`, `.env` or the environment they would
apply to every run, so there they are an error.
"""


def jobs_page(jobs: list) -> str:
    """docs/jobs.md, as Markdown."""
    lines = [GENERATED, "", *JOBS_HEAD.rstrip("\n").split("\n"), "", *_overview(jobs)]
    for job in jobs:
        lines += ["", *_job(job)]
    return "\n".join(lines) + "\n"


def configuration_page(jobs: list) -> str:
    """docs/configuration.md, as Markdown."""
    lines = [GENERATED, "", *CONFIG_HEAD.rstrip("\n").split("\n")]
    for name, known in settings.SECTIONS.items():
        lines += ["", f"## [{name}]", "", settings.MEANINGS[name], "", *_table(known)]
    lines += ["", *TABLES_TEXT.rstrip("\n").split("\n"), "", "## Each job's own section", "",
              "Named like the job. All have these; [jobs.md](jobs.md) lists the others.", "",
              *_table(_of_all_jobs(), code=False), ""]
    lines += [f"- [`[{job.name}]`](jobs.md#{job.name}): "
              f"{', '.join(f'`{name}`' for name in options)}" for job in jobs
              if (options := _parted(job)[0])]
    lines += ["", "## Arguments of one run", "", *ARGUMENTS_TEXT.rstrip("\n").split("\n"), ""]
    lines += [f"- [`{job.name}`](jobs.md#{job.name}): "
              f"{', '.join(f'`{name}`' for name in arguments)}" for job in jobs
              if (arguments := _parted(job)[1])]
    return "\n".join(lines) + "\n"


def _of_all_jobs() -> dict:
    return {name: option._replace(default="the job's own, see jobs.md" if option.default is None
                                  else "") for name, option in settings.JOB_OPTIONS.items()}


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
             f"{job.budget} a run."),
             *wrapped(f"- Run twice or killed: {job.idempotency}", WIDTH, "", "  ")]
    if job.sections:
        links = ", ".join(f"[`[{name}]`](configuration.md#{name})" for name in job.sections)
        lines.append(f"- Reads {links} too.")
    if tables := works_on(job):
        lines.append("- Needs these tables and columns, if your app has its own:")
        for name in filter(tables.get, TABLES):
            listed = ", ".join(column for column in column_names(name)
                               if column in tables[name].columns)
            lines += wrapped(f"`{name}`: {listed}", WIDTH, "  - ", "    ")
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
    when = schedule_text.words(schedule.parse(job.schedule))
    return when if job.enabled else f"off; once enabled, {when}"


def _table(known: dict, code: bool = True) -> list[str]:
    rows = ["| option | default | what it means | kind |", "|---|---|---|---|"]
    for name, option in known.items():
        default = _cell(f"`{option.default}`" if code and option.default else option.default or "")
        kind = _cell(option.kind.name).replace("<", "&lt;")
        rows.append(f"| `{name}` | {default} | {_cell(option.meaning)} | {kind} |")
    return rows


def _cell(text: str) -> str:
    """Text within a table of Markdown."""
    return re.sub(r"\s+", " ", text).replace("|", "\\|")
