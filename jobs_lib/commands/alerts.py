"""Send a test alert by each channel of [alerts], and say which of them does not work.

It exits with 1 if any fails, or if none is set.
"""
from __future__ import annotations

from contextlib import suppress

from jobs_lib.engines import relay
from jobs_lib.errors import FAILED, OK, JobsError
from jobs_lib.monitoring.alert_messages import CHANNELS, Alert, channels, send

TEXT = "This is a test: alerts arrive here. It was requested by `jobs.py alerts test`."


def arguments(parser) -> None:
    parser.add_argument("action", metavar="test", choices=("test",), help="send a test alert")


def run(args, make_session, config_path) -> int:
    session = make_session(config_path)
    session.config.check([], ("core", "alerts"))
    config, console = session.config, session.console
    addresses = config.section("alerts").email
    found = send(Alert("this is a test", TEXT), config, session.ports, channels(config))
    if not found:
        console.fail("jobs.py: no alert can be sent: set [alerts] email or webhook")
    for name, error in found.items():
        to = f" to {', '.join(addresses)}" if name == "email" else ""
        show = console.fail if error else console.report
        show(f"{CHANNELS[name]}{to}: {error or 'sent'}")
    if found.get("email") == "":
        with suppress(JobsError):       # it works without a database, too
            relay.count(session.ports.database(), session.ports.now(), len(addresses))
    if any(found.values()):
        console.fail("-> docs/failures.md, Alerts do not arrive, explains what it means.")
    return OK if found and not any(found.values()) else FAILED
