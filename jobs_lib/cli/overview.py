"""`jobs.py --help`: every command by what a person wants, then the jobs, on one screen; and
`jobs.py help all`: each with its first sentence."""
from __future__ import annotations

from jobs_lib import catalogue, commands
from jobs_lib.output.layout import cut, pairs, wrapped

USAGE = """\
usage: jobs.py COMMAND [options]   `help COMMAND` and `help all` say more
       jobs.py JOB [options]       runs one job now; --dry-run only shows it
"""
ALL = """\
usage: jobs.py JOB [options]        run one job now
       jobs.py COMMAND [options]

The work behind an e-mail forwarding service: retries, expiry, clean-up. Cron
runs what is due by `jobs.py run-due`; every job can be run by hand as well.
"""
FIRST_STEPS = """
first steps:
  jobs.py demo                      a demo service, run and shown
  jobs.py migrate                   create the tables
  jobs.py config check              is config.ini in order?
  jobs.py doctor                    is everything else? and how to fix it
  jobs.py JOB --dry-run             see what a job would do; nothing is changed
  jobs.py crontab                   the lines for cron

`jobs.py JOB --help` and `jobs.py COMMAND --help` explain more. All of them take
--config FILE (default: config.ini beside jobs.py, or the environment variable
JOBS_CONFIG).
"""
# {what a person wants: {command: what it is for, in a few words}}, in the order of the screen
WANTED = {
    "see": {
        "status": "what needs you or waits", "list": "the jobs: when, how",
        "history": "past runs and outcomes", "logs": "events; -f follows",
        "queue": "items waiting or failed", "show": "one item's full story",
        "doctor": "what to fix, and how"},
    "act": {
        "run-due": "what is due, for cron", "pause": "cron skips a job",
        "resume": "cron starts it again", "stop": "end a run at work",
        "replay": "send failed ones again", "cancel": "never send these"},
    "try": {
        "demo": "a sample service, shown",
        "test": "a job: what it would do", "preview": "notices to users"},
    "set up": {
        "migrate": "make or upgrade tables", "config": "show, check, set",
        "crontab": "the lines for cron", "mail": "send a test mail",
        "adopt": "an app's own tables", "move": "from SQLite to MySQL",
        "bundle": "one file to upload", "completion": "for the Tab key"},
    "publish": {
        "report": "the status as a page", "metrics": "for Prometheus",
        "archive": "old audit rows, read"},
    "workers": {
        "worker": "start one (RQ, Celery)", "enqueue": "give them a job now"},
}
OTHERS = "more"
WIDTH = 80                      # the screen that it is made for
LABEL, GAP = 9, 2               # columns of a group's name, and between two columns
MEANING = 22                    # columns, of a command that is not among these


def overview() -> str:
    """The text of `jobs.py --help`: whatever the terminal, so that it can be learnt."""
    rows = [[title if at == 0 else "", *(cell for entry in entries[at:at + 2] for cell in entry)]
            for title, entries in _groups() for at in range(0, len(entries), 2)]
    rooms = [max(len(row[at]) for row in rows if len(row) > at) + GAP for at in range(5)]
    rooms[0] = LABEL
    lines = ["".join(f"{cell:<{room}}" for cell, room in zip(row, rooms)).rstrip()
             for row in rows]
    jobs = wrapped("  ".join(_jobs()), WIDTH, f"{'jobs':<{LABEL}}", " " * LABEL)
    return "\n".join([USAGE, *lines, "", *jobs, ""])


def _groups() -> list[tuple[str, list]]:
    """[(title, [(command, meaning)])] of the commands that are there."""
    there, known = commands.names(), {name for group in WANTED.values() for name in group}
    groups = [(title, [(name, meaning) for name, meaning in group.items() if name in there])
              for title, group in WANTED.items()]
    groups.append((OTHERS, [(name, cut(_first_sentence(name), MEANING)) for name in there
                            if name not in known]))
    return [(title, entries) for title, entries in groups if entries]


def _jobs() -> list[str]:
    """Their names: what is to be sent first, what is deleted last."""
    first = ("retry", "send", "check", "rollup", "export", "delete", "expire")
    order = {verb: at for at, verb in enumerate(first)}
    return sorted(catalogue.names(),
                  key=lambda name: (order.get(name.partition("_")[0], len(first)), name))


def everything(width: int) -> str:
    """The text of `jobs.py help all`."""
    broken: list[str] = []
    jobs = [(job.name, job.summary) for job in catalogue.load_all(broken)]
    others = [(name, _first_sentence(name)) for name in commands.names()]
    text = "\n".join([ALL, _listed("commands", others, width), "", _listed("jobs", jobs, width),
                      FIRST_STEPS])
    return text + "".join(f"\n{words}\n" for words in broken)


def _first_sentence(name: str) -> str:
    doc = commands.load(name).__doc__ or ""
    return " ".join(doc.split()).partition(". ")[0].rstrip(".")


def _listed(title: str, rows: list[tuple[str, str]], width: int) -> str:
    return "\n".join([f"{title}:", *pairs(rows, width)])
