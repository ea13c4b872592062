"""A queue whose items leave by the relay, under its limits, as an operator sees it."""
from __future__ import annotations

from .claimed_queue import ClaimedQueue


class MailQueue(ClaimedQueue):
    """What is common to forwards and notices."""

    def per_day(self, ctx) -> int:
        """Half of what the relay's limits allow."""
        from .relay_limits import WINDOWS, Relay  # not needed to see whether anything waits
        day = WINDOWS[-1].span
        return min([super().per_day(ctx),
                    *(max(1, limit * day // window.span // 2)
                      for window, limit in Relay(ctx.db, ctx.section("mail")).limits)])

    def holds(self, ctx) -> list[str]:
        """The relay, too."""
        from .relay_limits import Relay
        relay, found = Relay(ctx.db, ctx.section("mail")), super().holds(ctx)
        if paused := relay.paused(ctx.now):
            found.append(f"The relay is paused {paused}.")
        for name, (used, limit) in relay.used(ctx.now).items():
            if used >= limit:
                found.append(f"[mail] per_{name} = {limit} is reached.")
        if relay.failures_full(ctx.now):
            found.append(f"[mail] failures_per_hour = {relay.mail.failures_per_hour} is reached: "
                         "what has failed before waits.")
        return found
