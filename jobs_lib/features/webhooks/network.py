"""Whether it is our own network that is down, and not the endpoints: then nobody's attempt is used
up.

Until somebody was reached, the results of whoever was not are held back. What HOSTS hosts of
several owners have in common is our network; hosts of one or two owners may be made to look so. Of
those it is believed only when they are all the owners there are and a name of our own cannot be
looked up either.
"""
from __future__ import annotations

HOSTS = 10                  # so many that were not reached, and nobody that was
OWNERS = 3                  # of so many owners at least


class Network:
    """What is known of it in one run."""

    def __init__(self, ctx, poster) -> None:
        self.ctx, self.poster = ctx, poster
        self.held: list = []            # results that may be our network's fault
        self.reached = self.down = False

    def sort(self, results: list, others: bool) -> list:
        """The results that can be stored now, those held back among them once it is known what they
        mean.

        `others`: owners of whom nothing was held back have something in flight, or waiting.
        """
        if any(result.response.reached and result.verdict.outcome != "back" for result in results):
            self.reached = True
        if not (self.reached or self.down):
            self.held += [result for result in results if result.response.reached is False]
            results = [result for result in results if result.response.reached is not False]
            if len({result.endpoint["host"]
                    for result in self.held}) < HOSTS or not self._is_clear(others):
                return results
        results, self.held = self.held + results, []
        return [_given_back(result) if self.down and result.response.reached is False else result
                for result in results]

    def rest(self) -> list:
        """What was held back at the end: of too few hosts to tell."""
        results, self.held = self.held, []
        return results

    def owners(self) -> set:
        """Those that something was held back of."""
        return {result.row["user_id"] for result in self.held}

    def _is_clear(self, others: bool) -> bool:
        """Judge it, if that is possible yet."""
        if others:
            return False
        if len(self.owners()) < OWNERS:
            name = own_name(self.ctx)
            if not name or self.poster.resolves(name):
                self.reached = True         # the network is there, so these hosts are to blame
                return True
        self.down = True
        self.ctx.stop("the network is down")
        self.ctx.log.warning("network down", hosts=HOSTS, reason=self.held[-1].response.text)
        return True


def _given_back(result):
    return result._replace(verdict=result.verdict._replace(outcome="back"), ours=True)


def own_name(ctx) -> str:
    """A name of our own that only the network knows: of the app, or of the mail relay. "" if there
    is none."""
    from jobs_lib.ports.http.url import host_of
    for name in (host_of(ctx.section("core").app_url), ctx.section("mail").host):
        if "." in name and not name.replace(".", "").isdigit() and not name.endswith(".localhost"):
            return name
    return ""
