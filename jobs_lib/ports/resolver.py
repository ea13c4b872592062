"""Asking name servers: all questions about an item together, and about several items at a time.

dnspython asks, reads and decides whom to ask next; here is what its answers mean to us. Items come
in chunks, each in an event loop of its own, so that nothing outlives the run. Names are absolute: a
search list never counts.
"""
from __future__ import annotations

import asyncio

from jobs_lib.errors import JobsError

from .dns import FOUND, NODATA, NXDOMAIN, UNKNOWN, Answer

try:
    import dns.asyncresolver
    import dns.flags
    import dns.inet
    import dns.name
    import dns.nameserver
    import dns.rcode
    import dns.resolver
except ImportError:
    from jobs_lib.paths import way_to
    raise JobsError("checking domains needs dnspython, which is not installed: "
                    + way_to("dnspython", "domains")) from None

PORT = 53
AT_ONCE = 24                    # items, with 7 questions at once about each at most
RESOLV_CONF = "/etc/resolv.conf"
# a packet may get lost, or be forged: who gave no answer is asked again
ROUNDS = 2
# between two looks whether the run is to stop, while answers are awaited
LOOK_SECONDS = 0.2
# what passes unfragmented everywhere (DNS flag day 2020); more comes by TCP
UDP_PAYLOAD = 1232
IMPOSSIBLE = (dns.name.LabelTooLong, dns.name.NameTooLong, dns.name.EmptyLabel)     # as a name


def open_resolver(section, resolv_conf: str = RESOLV_CONF) -> Resolver:
    """A resolver as `[dns]` asks for it; without name servers there, the system's."""
    return Resolver(section.nameservers or system_nameservers(resolv_conf),
                    section.timeout.total_seconds())


def system_nameservers(resolv_conf: str) -> tuple:
    """(address, port) of each `nameserver` line with an address; none when there is no such
    file."""
    try:
        with open(resolv_conf, encoding="utf-8", errors="replace") as file:
            words = [line.split() for line in file]
    except OSError:
        return ()
    return tuple((line[1], PORT) for line in words
                 if line[:1] == ["nameserver"] and dns.inet.is_address("".join(line[1:2])))


class Resolver:
    """Asks the name servers, in order. nameservers: (address, port); timeout: seconds for one
    question in all."""

    def __init__(self, nameservers, timeout: float) -> None:
        self.nameservers, self.timeout = tuple(nameservers), timeout

    def look_up(self, name: str, kind: str) -> Answer:
        """The Answer for an absolute name (with or without its dot) and TXT, MX or CNAME, after
        `timeout` seconds at most."""
        return asyncio.run(_look_up(self._stub(), name, kind))

    def each(self, items: list, stopped):
        """Yield (item, {question: Answer}) for each (item, questions), AT_ONCE asked together.

        In place of the answers there is an exception for an item that met one which nothing here
        expects. A question is (name, kind). When `stopped()` says True, what is still open is given
        up.
        """
        for at in range(0, len(items), AT_ONCE):
            yield from asyncio.run(_chunk(self._stub(), items[at:at + AT_ONCE], stopped))

    def _stub(self):
        """dnspython's resolver, or None where no name server is known."""
        if not self.nameservers:
            return None
        stub = dns.asyncresolver.Resolver(configure=False)
        stub.nameservers = [dns.nameserver.Do53Nameserver(address, port)
                            for address, port in self.nameservers]
        stub.lifetime, stub.timeout = self.timeout, self.timeout / ROUNDS / len(self.nameservers)
        stub.use_edns(0, 0, UDP_PAYLOAD)
        return stub


async def _chunk(stub, items: list, stopped) -> list[tuple]:
    """What `each` yields for these items. What is still open at its end ends with its loop."""
    async def ask(questions: list) -> dict:
        found = await asyncio.gather(*(_look_up(stub, *question) for question in questions))
        return dict(zip(questions, found))

    tasks = [asyncio.ensure_future(ask(questions)) for _, questions in items]
    waiting = set(tasks)
    while waiting and not stopped():
        waiting = (await asyncio.wait(waiting, timeout=LOOK_SECONDS))[1]
    return [(item, task.exception() or task.result()) for (item, _), task in zip(items, tasks)
            if task.done()]


async def _look_up(stub, name: str, kind: str) -> Answer:
    """Only records, NXDOMAIN and an answer without records mean something."""
    if stub is None:
        return Answer(UNKNOWN, why="no name server is known here")
    try:
        found = await stub.resolve(name.rstrip(".") + ".", kind, search=False,
                                   raise_on_no_answer=False)
    except (dns.resolver.NXDOMAIN, *IMPOSSIBLE):
        return Answer(NXDOMAIN)
    except dns.resolver.LifetimeTimeout:
        return Answer(UNKNOWN, why="the name server did not answer in time")
    except dns.resolver.NoNameservers as error:
        return Answer(UNKNOWN, why=_why(error.kwargs["errors"]))
    if found.rrset is not None:
        return Answer(FOUND, tuple(_record(data) for data in found.rrset))
    if not found.response.flags & (dns.flags.RA | dns.flags.AA):
        # a mere referral
        return Answer(UNKNOWN, why="the name server does not look names up for others")
    return Answer(NODATA)


def _why(errors: list) -> str:
    """The last thing that went wrong, in words. errors: (server, whether by TCP, port, exception or
    rcode in words, response), in order."""
    *_, last, response = errors[-1]
    if response is not None and response.rcode() != dns.rcode.NOERROR:
        return f"the name server answered {dns.rcode.to_text(response.rcode())}"
    if isinstance(last, OSError):
        return f"the name server could not be asked ({type(last).__name__})"
    return "the name server's answer makes no sense"


def _record(data):
    """One record in the shape that Answer promises."""
    kind = type(data).__name__
    if kind == "TXT":
        return b"".join(data.strings).decode("utf-8", "backslashreplace")
    name = (data.exchange if kind == "MX" else data.target).to_text(omit_final_dot=True)
    name = name.lower() or "."
    return (data.preference, name) if kind == "MX" else name
