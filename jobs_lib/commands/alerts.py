"""Send a test alert by each channel of [alerts], and say which of them does not work.

It exits with 1 if any fails, or if none is set.
"""
from __future__ import annotations

from jobs_lib.errors import FAILED, OK
from jobs_lib.runner.access import refuse_root

SECONDS = 40.0  # for all of it
TEXT = "This is a test: alerts arrive here. It was requested by `jobs.py alerts test`."


def arguments(parser) -> None:
    """Declares test."""
    parser.add_argument("action", metavar="test", choices=("test",), help="send a test alert")


def run(args, make_session, config_path) -> int:
    """Send it; 1 when a channel did not take it."""
    from jobs_lib.monitoring import alert_messages
    from jobs_lib.monitoring.incidents import short_error

    session = make_session(config_path)
    refuse_root(session.config, "alerts test")
    session.config.check([], ("core", "alerts"))
    channels = alert_messages.configured(session.config.section("alerts"))
    message = alert_messages.plain("this is a test", TEXT)
    with alert_messages.way_of(session, SECONDS) as way:
        found = {channel: short_error(alert_messages.send(channel, message, way))
                 for channel in channels}
    if not channels:
        session.console.fail(f"jobs.py: {alert_messages.NO_CHANNEL}")
    for channel, error in found.items():
        show = session.console.fail if error else session.console.report
        show(f"{alert_messages.CHANNELS[channel]}: {error or 'sent'}")
    return OK if channels and not any(found.values()) else FAILED
