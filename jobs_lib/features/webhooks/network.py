"""Whether it is our own network that is down, and not the endpoints: then nobody's attempt is used
up.

Until somebody was reached, the attempts that reached nobody are held back. What HOSTS hosts of
several owners have in common is our network; hosts of one or two owners may be made to look so. Of
those it is believed only when they are all the owners there are and a name of our own cannot be
looked up either.
"""
from __future__ import annotations

from jobs_lib.ports.http.url import host_of
from jobs_lib.ports.outcomes import GIVEN_BACK

from .outcomes import given_back

HOSTS = 10                  # hosts that were not reached, when none was
OWNERS = 3                  # of at least this many owners


class Network:
    """What is known of it in one run."""

    def __init__(self, ctx, poster) -> None:
        self.ctx, self.poster = ctx, poster
        self.held: list = []            # attempts whose failure may be our network's
        self._reached = self._down = False

    def sort(self, attempts: list, others_wait) -> list:
        """The attempts that can be settled now, those held back among them once it is known what
        they mean.

        `others_wait(owners)`: whether anything of other owners is in flight, or waiting.
        """
        self._reached = self._reached or any(attempt.response.reached
                                             and attempt.verdict.outcome != GIVEN_BACK
                                             for attempt in attempts)
        if not (self._reached or self._down):
            held = self.held + [attempt for attempt in attempts
                                if attempt.response.reached is False]
            if not self._is_judged(held, others_wait):
                self.held = held
                return [attempt for attempt in attempts if attempt not in held]
        attempts = self.release() + attempts
        for attempt in attempts:
            if self._down and attempt.response.reached is False:
                attempt.verdict = given_back(attempt.verdict)
        return attempts

    def release(self) -> list:
        """What was held back, as it is: of too few hosts to judge."""
        held, self.held = self.held, []
        return held

    def _is_judged(self, held: list, others_wait) -> bool:
        """Judge it, if that is possible yet."""
        owners = {attempt.owner for attempt in held}
        if len({attempt.endpoint["host"] for attempt in held}) < HOSTS or others_wait(owners):
            return False
        if len(owners) < OWNERS:
            name = own_name(self.ctx)
            if not name or self.poster.resolves(name):
                self._reached = True        # the network is there, so these hosts are to blame
                return True
        self._down = True
        self.ctx.stop("the network is down")
        self.ctx.log.warning("network down", hosts=HOSTS, reason=held[-1].response.text)
        return True


def own_name(ctx) -> str:
    """A name of our own that only the network knows: of the app, or of the mail relay. "" if there
    is none."""
    for name in (host_of(ctx.section("core").app_url), ctx.section("mail").host):
        if "." in name and not name.replace(".", "").isdigit() and not name.endswith(".localhost"):
            return name
    return ""
