"""Run everything that is due, most critical first: the one crontab line.

A job is due when the latest slot of its schedule has no run yet, so nothing is missed when cron ticks
rarely or stalls, and a job missed for days runs once. A slot that ended unfinished is carried on, one that
failed is tried again after 15 minutes and after an hour.
"""
from __future__ import annotations

from .. import catalogue, due, locks
from ..errors import FAILED, LockHeld

LEAST_SECONDS = 30.0         # a job with no history is not begun with less


def arguments(parser) -> None:
    """--budget and --json."""
    parser.add_argument("--budget", metavar="DURATION", help="how long all of it may work (default: [core] budget)")
    parser.add_argument("--json", action="store_true", help="print the outcomes as one JSON document")


def run(args, make_session, config_path) -> int:
    """The command with its options; cron's plain `run-due` comes straight to `tick`."""
    overrides = [f"core.budget={args.budget}"] if args.budget else []
    session = make_session(config_path, None, overrides)
    budget = session.config.section("core").budget.total_seconds()
    results, code = tick(session.config, session.ports, budget, session.console)
    if args.json:
        import json

        from ..runner import as_json
        print(json.dumps([as_json(result) for result in results], ensure_ascii=False))
    elif not results:
        session.console.say("nothing is due")
    return code


def tick(config, ports, budget: float, console) -> tuple[list[dict], int]:
    """Run what is due. Returns (outcomes, exit code); with nothing due, nothing is loaded or written."""
    core = config.section("core")
    lock = locks.FileLock(core.state_dir, "run-due")
    try:
        lock.acquire("run-due")
    except LockHeld:                     # the tick before this one still works; what it leaves is due next time
        return [], 0
    try:
        broken: list[str] = []                  # one job's spoilt file stops no other
        found, problems = due.find(config, catalogue.load_all(broken), ports.database(), ports.now(),
                                   lambda job: locks.is_free(locks.lock_for(job.name, core, ports.lock_database, 60)))
        problems = [*broken, *problems]
        for problem in problems:
            console.fail(f"jobs.py run-due: {problem}")
        results, code = _run_all(found, config, ports, budget, console) if found else ([], 0)
        return results, code or (FAILED if problems else 0)
    finally:
        lock.release()


def _run_all(found, config, ports, budget: float, console) -> tuple[list[dict], int]:
    from .. import history, runner
    from ..errors import JobsError
    from ..run_job import show

    end, results, code = ports.monotonic() + budget, [], 0
    for item in found:
        left = end - ports.monotonic()
        usual = history.usual_seconds(ports.database(), item.job.name)
        if results and left < min(LEAST_SECONDS, LEAST_SECONDS if usual is None else usual):
            continue
        request = runner.Request(item.trigger, item.slot, None, False, False, max(left, 1.0))
        try:
            result = runner.run(item.job, config, ports, request, console)
        except JobsError as error:              # a broken configuration of one job stops no other
            console.fail(f"{item.job.name}: {error}")
            code = code or error.exit_code
            continue
        results.append(result)
        show(console, result, request)
        code = code or runner.exit_code(result)
        if result["status"] == "interrupted":
            break
    return results, code
