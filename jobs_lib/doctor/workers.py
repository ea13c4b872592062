"""Workers: is the engine installed, and does its broker take messages?"""
from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

from jobs_lib.errors import JobsError
from jobs_lib.hostnames import LOOPBACK
from jobs_lib.job import CRON
from jobs_lib.output.findings import ok, problem, run, warning
from jobs_lib.workers import dispatch

from . import NothingToAsk

USUAL = "guest"                  # RabbitMQ's user and password of the first day
SECURE = ("rediss", "amqps")


def broker(installation):
    """Each engine that a job is to be run by is asked; nothing is put into a queue."""
    config, usual = installation.config, installation.section("core").mode
    modes = sorted({installation.job(job).mode or usual for job in installation.jobs} - {CRON})
    if not modes:
        raise NothingToAsk
    for mode in modes:
        option = "redis" if mode == "rq" else "broker"
        for url in getattr(installation.section("worker"), option).split(";"):
            yield from _open(option, url)
        try:
            dispatch.engine(mode).enqueue(config, [])
            yield ok(f"the broker of mode = {mode} is there")
        except dispatch.BrokerAway as error:
            yield problem(f"The workers' broker cannot be used: {error}",
                          "Meanwhile `run-due` runs their jobs itself.",
                          run("Start it, or fix [worker] in config.ini. Or do without:", "[core]",
                              "mode = cron"))
        except JobsError as error:
            yield problem(str(error), "No job of that mode runs.",
                          "docs/workers.md, Step by step, has the commands.")


def _open(option: str, url: str):
    """A broker elsewhere that anyone may write to, or whose password anyone in between may read."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        password = parts.password or parse_qs(parts.query).get("password", [""])[0]
    except ValueError:
        return                               # the attempt to use it reports that
    if parts.scheme == "unix" or host in LOOPBACK or not host:
        return
    if password in ("", USUAL):
        what = "no password" if not password else f"the password that everybody knows ({USUAL})"
        yield problem(f"[worker] {option}: the broker at {host} has {what}",
                      "Anyone who reaches it can have your jobs run at any time, and stop your "
                      "workers.", "Give it a password, and write that into the URL "
                      "(docs/workers.md, Who is trusted).")
    if parts.scheme not in SECURE:
        yield warning(f"[worker] {option}: the connection to {host} is not encrypted",
                      "Anyone in between can read the broker's password, and put messages in.",
                      f"Switch TLS on there and write {parts.scheme}s://, or keep both in a "
                      "network of your own.")


CHECKS = (broker,)
