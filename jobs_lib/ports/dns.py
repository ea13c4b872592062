"""The DNS port: what a name server says about a name, and whether that means anything.

An answer is records, `no such name` or `no such record`; everything else that can happen (SERVFAIL,
REFUSED, silence, no resolver) is `unknown`, with its reason, and says nothing about the name. Names
are absolute: a search list never counts. dnspython is loaded when a resolver is opened.
"""
from __future__ import annotations

import time
from collections import namedtuple
from functools import partial

from jobs_lib.errors import JobsError

Answer = namedtuple("Answer", "outcome records why", defaults=((), ""))
Answer.__doc__ = """What came of one question.

outcome  FOUND, NXDOMAIN, NODATA or UNKNOWN        why  of UNKNOWN, in words
records  TXT: a text each, its strings joined; MX: (preference, host); CNAME: a name. Names are in
         lower case and without the dot at their end; the root itself is "."
"""
FOUND, NXDOMAIN, NODATA, UNKNOWN = "found", "nxdomain", "nodata", "unknown"

PORT = 53
RESOLV_CONF = "/etc/resolv.conf"
# a packet may get lost, or be forged: who gave no answer is asked again
ROUNDS = 2
# all questions about one item together may take this many times `timeout`
ITEM_SHARE = 3
# between two looks whether the run is to stop, while answers are awaited
LOOK_SECONDS = 0.2
# what passes unfragmented everywhere (DNS flag day 2020); more comes by TCP
UDP_PAYLOAD = 1232


def open_resolver(section, resolv_conf: str = RESOLV_CONF) -> Resolver:
    """A resolver as `[dns]` asks for it; without name servers there, the system's."""
    return Resolver(section.nameservers or system_nameservers(resolv_conf),
                    section.timeout.total_seconds(), section.concurrency)


def system_nameservers(resolv_conf: str) -> tuple:
    """(address, port) of each `nameserver` line with an address; none when there is no such
    file."""
    try:
        with open(resolv_conf, encoding="utf-8", errors="replace") as file:
            words = [line.split() for line in file]
    except OSError:
        return ()
    return tuple((line[1], PORT) for line in words if line[:1] == ["nameserver"]
                 and _is_address("".join(line[1:2])))


def _is_address(word: str) -> bool:
    import ipaddress
    try:
        ipaddress.ip_address(word)
    except ValueError:
        return False
    return True


class Resolver:
    """Asks the name servers, in order. nameservers: (address, port); timeout: seconds for one
    question in all."""

    def __init__(self, nameservers, timeout: float, concurrency: int) -> None:
        self.nameservers, self.timeout, self.concurrency = tuple(nameservers), timeout, concurrency
        self._dns = _dnspython()

    def look_up(self, name: str, kind: str, until: float | None = None) -> Answer:
        """The Answer for an absolute name (with or without its dot) and TXT, MX or CNAME.

        It takes `timeout` seconds at most, and ends at `until` on the monotonic clock.
        """
        dns, end = self._dns, time.monotonic() + self.timeout
        end = end if until is None else min(end, until)
        if not self.nameservers:
            return Answer(UNKNOWN, why="no name server is known here")
        try:
            query = dns.message.make_query(name.rstrip(".") + ".", kind, use_edns=0,
                                           payload=UDP_PAYLOAD)
        except (dns.name.LabelTooLong, dns.name.NameTooLong, dns.name.EmptyLabel):
            return Answer(NXDOMAIN)             # no such name can be
        plan, heard, why = self.nameservers * ROUNDS, set(), "there was no time left to ask"
        for turn, server in enumerate(plan):
            left = end - time.monotonic()
            if server in heard or left <= 0:
                continue
            answer, again = self._ask(server, query, left / (len(plan) - turn))
            if answer.outcome != UNKNOWN:
                return answer
            why = answer.why
            if not again:
                heard.add(server)
        return Answer(UNKNOWN, why=why)

    def each(self, items, stopped, follow_up=None):
        """Yield (item, {question: Answer}) for each (item, questions), as they come, several items
        at a time.

        In place of the answers there is an exception for an item that met one which nothing here
        expects. A question is (name, kind). When `stopped()` says True, what is still open is given
        up. `follow_up(item, answers)` gives the next question about an item, when the answers so
        far raise one.
        """
        from queue import Empty, SimpleQueue
        from threading import Event

        waiting: SimpleQueue = SimpleQueue()
        done: SimpleQueue = SimpleQueue()
        over = Event()
        for pair in items:
            waiting.put(pair)
        number = waiting.qsize()
        threads = _start(partial(self._work, waiting, done, over, follow_up),
                         min(self.concurrency, number))
        try:
            for _ in range(number):
                found = None
                while found is None:
                    if stopped():
                        return
                    if not threads:             # so this one does it
                        self._one(waiting, done, over, follow_up)
                    try:
                        found = done.get(timeout=LOOK_SECONDS)
                    except Empty:
                        continue
                yield found
        finally:
            over.set()

    def _work(self, waiting, done, over, follow_up) -> None:
        """One thread: an item after the other, until none is left or it is over."""
        while not over.is_set() and self._one(waiting, done, over, follow_up):
            pass

    def _one(self, waiting, done, over, follow_up) -> bool:
        """Ask for the next item, if there is one."""
        from queue import Empty

        try:
            item, questions = waiting.get_nowait()
        except Empty:
            return False
        until = time.monotonic() + ITEM_SHARE * self.timeout
        try:
            answers = {(name, kind): self.look_up(name, kind, until) for name, kind in questions
                       if not over.is_set()}
            question = follow_up and follow_up(item, answers)
            while question and not over.is_set():
                answers[question] = self.look_up(question[0], question[1], until)
                question = follow_up(item, answers)
            done.put((item, answers))
        except Exception as error:              # noqa: BLE001  a defect, of this item alone
            done.put((item, error))
        return True

    def _ask(self, server: tuple, query, seconds: float) -> tuple[Answer, bool]:
        """(what one name server says, whether to ask it again), by UDP and, if that is cut off, by
        TCP."""
        dns, end = self._dns, time.monotonic() + seconds
        address, port = server
        try:
            try:
                response = dns.query.udp(query, address, seconds, port, ignore_unexpected=True,
                                         raise_on_truncation=True)
            except dns.message.Truncated:
                response = dns.query.tcp(query, address, max(end - time.monotonic(), 0.001), port)
        except dns.exception.Timeout:
            return Answer(UNKNOWN, why="the name server did not answer in time"), True
        except (dns.exception.DNSException, OSError, EOFError) as error:
            return Answer(UNKNOWN, why="the name server could not be asked "
                          f"({type(error).__name__})"), True
        except ValueError:                      # dnspython's word for an address that is none
            return Answer(UNKNOWN, why=f"{address} is no address of a name server"), False
        return self._read(response, query), False

    def _read(self, response, query) -> Answer:
        """Only records, NXDOMAIN and an answer without records mean something."""
        dns, code = self._dns, response.rcode()
        if code == dns.rcode.NXDOMAIN:
            return Answer(NXDOMAIN)
        if code != dns.rcode.NOERROR:
            return Answer(UNKNOWN, why=f"the name server answered {dns.rcode.to_text(code)}")
        try:
            chain = response.resolve_chaining()
        except dns.exception.DNSException:
            return Answer(UNKNOWN, why="the name server's answer makes no sense")
        if chain.answer is not None:
            return Answer(FOUND, tuple(_record(data) for data in chain.answer))
        if not response.flags & (dns.flags.RA | dns.flags.AA):
            # a mere referral
            return Answer(UNKNOWN, why="the name server does not look names up for others")
        return Answer(NODATA)


def _start(work, most: int) -> int:
    """So many threads that do `work()`, or fewer where the host allows no more: how many. At the
    end of the process nobody waits for them."""
    import threading

    for number in range(most):
        try:
            threading.Thread(target=work, daemon=True).start()
        except RuntimeError:
            return number
    return most


def _record(data):
    """One record in the shape that Answer promises."""
    kind = type(data).__name__
    if kind == "TXT":
        return b"".join(data.strings).decode("utf-8", "backslashreplace")
    if kind == "MX":
        return data.preference, _name(data.exchange)
    return _name(data.target)


def _name(name) -> str:
    return name.to_text(omit_final_dot=True).lower() or "."


def _dnspython():
    """The package, or one sentence on how to get it."""
    try:
        import dns.exception
        import dns.flags
        import dns.message
        import dns.name
        import dns.query
        import dns.rcode
    except ImportError:
        from jobs_lib.paths import way_to
        raise JobsError("checking domains needs dnspython, which is not installed: "
                        + way_to("dnspython", "domains")) from None
    return dns
