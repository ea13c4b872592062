"""Asking name servers: all questions about several items together.

dnspython asks, reads and decides whom to ask next; here is what its answers mean to us. Each call
has an event loop of its own, so that nothing outlives the run. Names are absolute: a search list
never counts.
"""
from __future__ import annotations

import asyncio
from contextlib import suppress

from jobs_lib.errors import JobsError

from .outcomes import FOUND, NODATA, NXDOMAIN, UNKNOWN, Answer

try:
    import dns.asyncresolver
    import dns.flags
    import dns.inet
    import dns.name
    import dns.nameserver
    import dns.resolver
except ImportError:
    from jobs_lib.folders import way_to_packages
    raise JobsError("checking domains needs dnspython, which is not installed: "
                    + way_to_packages()) from None

# a packet may get lost, or be forged: who gave no answer is asked again
ROUNDS = 2
# between two looks whether the run is to stop, while answers are awaited
LOOK_SECONDS = 0.2


class Resolver:
    """Asks these name servers, in order, or else the system's. nameservers: (address, port);
    timeout: seconds for one question in all. `servers`: the addresses."""

    def __init__(self, nameservers, timeout: float, resolv_conf: str = "/etc/resolv.conf") -> None:
        self._stub = stub = dns.asyncresolver.Resolver(configure=False)
        self.servers = [address for address, _ in nameservers] or _system(resolv_conf)
        stub.nameservers = ([dns.nameserver.Do53Nameserver(*each) for each in nameservers]
                            or self.servers)
        stub.lifetime = timeout
        stub.timeout = timeout / ROUNDS / max(1, len(stub.nameservers))
        stub.use_edns()  # for answers over 512 octets; what is too large comes by TCP

    def look_up(self, name: str, kind: str) -> Answer:
        """The Answer for an absolute name and TXT, MX or CNAME, within the time limit."""
        return asyncio.run(self._look_up(name, kind))

    def each(self, items: list, stopped) -> list[tuple]:
        """[(item, {question: Answer})] for each (item, questions), all asked together.

        A question is (name, kind). In place of the answers there is an exception where one came
        that nothing here expects. Once `stopped()` says True, items that still wait are left out.
        """
        return asyncio.run(self._each(items, stopped))

    async def _each(self, items: list, stopped) -> list[tuple]:
        async def ask(questions: list) -> dict:
            found = await asyncio.gather(*(self._look_up(*question) for question in questions))
            return dict(zip(questions, found))

        tasks = [asyncio.ensure_future(ask(questions)) for _, questions in items]
        waiting = set(tasks)
        while waiting and not stopped():
            waiting = (await asyncio.wait(waiting, timeout=LOOK_SECONDS))[1]
        return [(item, task.exception() or task.result()) for (item, _), task in zip(items, tasks)
                if task.done()]

    async def _look_up(self, name: str, kind: str) -> Answer:
        """Only records, NXDOMAIN and an answer without records mean something."""
        try:
            found = await self._stub.resolve(name.rstrip(".") + ".", kind, search=False,
                                             raise_on_no_answer=False)
        except (dns.resolver.NXDOMAIN, dns.resolver.YXDOMAIN, dns.name.NameTooLong):
            return Answer(NXDOMAIN)  # no such name is there, or can be
        except dns.resolver.LifetimeTimeout:
            return Answer(UNKNOWN, why="the name server did not answer in time")
        except dns.resolver.NoNameservers as error:
            return Answer(UNKNOWN, why=_why(error.kwargs["errors"]))
        if found.rrset is not None:
            return Answer(FOUND, tuple(_record(data) for data in found.rrset))
        if not found.response.flags & (dns.flags.RA | dns.flags.AA):
            # a mere referral
            return Answer(UNKNOWN, why="the name server does not resolve names for this host")
        return Answer(NODATA)


def _system(resolv_conf: str) -> list[str]:
    """The addresses that such a file names, whatever else is in it; none where it is missing. What
    dnspython makes of it ends at the first line that it cannot read."""
    with suppress(OSError), open(resolv_conf, encoding="utf-8", errors="replace") as file:
        lines = [line.split()[:2] for line in file]
        return [words[1] for words in lines
                if words[:1] == ["nameserver"] and dns.inet.is_address(words[-1])]
    return []


def _why(errors: list) -> str:
    """The last thing that went wrong, without the server's address. errors: (server, whether by
    TCP, port, exception or rcode in words, response), in order."""
    if not errors:
        return "no name server is known here"
    last = errors[-1][3]
    what = last if isinstance(last, str) else f"nothing of use ({type(last).__name__})"
    return f"the name server answered {what}"


def _record(data):
    """One record in the shape that Answer promises."""
    kind = type(data).__name__
    if kind == "TXT":
        return b"".join(data.strings).decode("utf-8", "backslashreplace")
    name = (data.exchange if kind == "MX" else data.target).to_text(omit_final_dot=True)
    name = name.lower() or "."
    return (data.preference, name) if kind == "MX" else name
