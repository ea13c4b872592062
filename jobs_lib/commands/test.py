"""Try a job by hand: what it would do, row by row.

It also shows when the job runs, and its options. Without --live it is a dry run: the database
refuses to write, and nothing else is touched. With --live it runs as `jobs.py JOB` does.
"""
from __future__ import annotations

import shlex

from jobs_lib import catalogue, clock, schedule
from jobs_lib.config.option_types import positive
from jobs_lib.errors import FAILED, OK
from jobs_lib.folders import program
from jobs_lib.launch.launch import Launch
from jobs_lib.output.layout import Screen, wrapped
from jobs_lib.output.listing import dry_lines
from jobs_lib.output.terminal import paint
from jobs_lib.runner import access, history, outcome, runner

WIDTH, LABEL = 80, 9            # columns: of all, of the labels


def arguments(parser) -> None:
    """Declares JOB, --live, and the options of `jobs.py JOB` that change what a run does."""
    parser.add_argument("job", metavar="JOB", help="a job; `jobs.py list` shows them")
    parser.add_argument("--live", action="store_true", help="run for real, and show what was done")
    parser.add_argument("--limit", type=positive, metavar="N", help="handle at most N items")
    parser.add_argument("--set", action="append", default=[], metavar="OPTION=VALUE",
                        help="use another value in this run: of an option of the job, or of "
                        "SECTION.OPTION")
    parser.add_argument("--yes", action="store_true", help="do what the guard holds back, "
                        "this once")
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def run(args, make_session, config_path) -> int:
    """Show the job, then run it as the arguments say."""
    job = catalogue.load(args.job)
    session = make_session(config_path, -1 if args.json else 1, args.set, job)
    unusable = access.unusable(session.config)      # a dry run would not notice: it takes no lock
    about = {"summary": job.summary, "when": _when(session, job), "options": _options(session, job)}
    printed = [] if args.json else _about(job, about)
    if printed:
        session.console.answer("\n".join([paint("bold", printed[0]), *printed[1:], ""]))
    request = runner.Request("manual", None, args.limit, not args.live, args.yes)
    result = Launch(session).run(job, request)
    found = {**about, "unusable": unusable, **outcome.as_json(result)}
    if args.live:
        title, lines = "What it did", [f"  {outcome.outcome_words(result)}"]
    else:
        found["samples"] = session.console.samples
        title = "What it would do now (a dry run: nothing is changed, nobody is contacted)"
        lines = [*dry_lines(result, session.console.samples), "", paint("dim", "  # for real"),
                 f"  {_for_real(args, session.config.path)}"]
    if args.json:
        session.console.document(found)
    else:
        session.console.answer("\n".join([paint("bold", title), *lines]))
    for sentence in unusable:
        session.console.fail(f"cron cannot run it so: {sentence}")
    return outcome.exit_code(result) or (FAILED if unusable else OK)


def _about(job, about: dict) -> list[str]:
    """The job in a few lines."""
    facts = [("when", about["when"]), *(("options" if at == 0 else "", f"{name} = {value}")
                                        for at, (name, value) in enumerate(
                                            about["options"].items()))]
    return [f"{job.name}: {job.summary}", "", *(
        line for label, text in facts for line in wrapped(
            text, WIDTH, f"  {label:<{LABEL}}", " " * (LABEL + 4)))]


def _when(session, job) -> str:
    """When it runs, when next, and how it ended last."""
    screen, options = Screen(session), session.config.job(job)
    db = session.ports.database(readonly=True)
    paused = db.value("SELECT paused_at FROM {job_state} WHERE job = :job", job=job.name)
    runs = history.last_runs(db, session, job.name, 1)
    if not options.enabled:
        following = f"not by itself: [{job.name}] enabled = no"
    elif paused:
        following = f"paused since {screen.at(paused)}: `jobs.py resume {job.name}`"
    else:
        at = schedule.following(options.schedule, screen.now, screen.zone)
        following = f"next: {screen.at(clock.text(at))}"
    last = f"last run {runs[0]['status']}, at {screen.at(runs[0]['started_at'])}" if runs else (
        "never ran")
    return (f"{schedule.words(options.schedule)} ({screen.zone_name}); {following}; {last}")


def _options(session, job) -> dict:
    """{the job's own options: their values as they would be written}, no secret among them."""
    written = {name: session.config.written(job.name, name, option).text
               for name, option in job.options.items()}
    return {name: kind.mask(written[name]) if (kind := option.kind).mask else written[name]
            for name, option in job.options.items()}


def _for_real(args, path: str) -> str:
    """The same command, for real."""
    limit = ["--limit", str(args.limit)] if args.limit else []
    sets = [word for value in args.set for word in ("--set", value)]
    return f"{program(path)} {shlex.join(['test', args.job, '--live', *limit, *sets])}"
