"""Asking name servers: all questions about an item together, and about several items at a time.

One thread does it for all of them, since hosts limit threads, and a question that waits in a loop
can be taken back at any time: nothing outlives the run. dnspython makes the questions and reads the
answers. Names are absolute: a search list never counts.
"""
from __future__ import annotations

import asyncio
import ipaddress
import socket
import time
from itertools import islice
from queue import Empty, SimpleQueue
from threading import Thread

from jobs_lib.errors import JobsError

from .dns import FOUND, NODATA, NXDOMAIN, UNKNOWN, Answer

try:
    import dns.exception
    import dns.flags
    import dns.message
    import dns.name
    import dns.rcode
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
MOST_OCTETS = 65_535


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
    return tuple((line[1], PORT) for line in words if line[:1] == ["nameserver"]
                 and _is_address("".join(line[1:2])))


def _is_address(word: str) -> bool:
    try:
        ipaddress.ip_address(word)
    except ValueError:
        return False
    return True


class Resolver:
    """Asks the name servers, in order. nameservers: (address, port); timeout: seconds for one
    question in all."""

    def __init__(self, nameservers, timeout: float) -> None:
        self.nameservers, self.timeout = tuple(nameservers), timeout

    def look_up(self, name: str, kind: str) -> Answer:
        """The Answer for an absolute name (with or without its dot) and TXT, MX or CNAME, after
        `timeout` seconds at most."""
        return asyncio.run(self._look_up(name, kind))

    def each(self, items: list, stopped):
        """Yield (item, {question: Answer}) for each (item, questions), as they come.

        In place of the answers there is an exception for an item that met one which nothing here
        expects. A question is (name, kind). When `stopped()` says True, what is still open is given
        up. The next item is begun when the caller is done with one, so AT_ONCE bounds the
        memory too.
        """
        done: SimpleQueue = SimpleQueue()
        loop = asyncio.new_event_loop()
        thread = Thread(target=_serve, args=(loop,), daemon=True)
        try:
            thread.start()
        except RuntimeError:            # the host allows no more of them: slower, but it goes on
            loop.close()
            for item, questions in items:
                if stopped():
                    return
                asyncio.run(self._ask_about(item, questions, done))
                yield done.get()
            return
        waiting = (self._ask_about(item, questions, done) for item, questions in items)

        def begin(number: int) -> None:
            for task in islice(waiting, number):
                asyncio.run_coroutine_threadsafe(task, loop)
        try:
            begin(AT_ONCE)
            for _ in items:
                found = None
                while found is None:
                    if stopped():
                        return
                    try:
                        found = done.get(timeout=LOOK_SECONDS)
                    except Empty:
                        continue
                yield found
                begin(1)
        finally:
            loop.call_soon_threadsafe(loop.stop)
            thread.join()

    async def _ask_about(self, item, questions, done: SimpleQueue) -> None:
        """One item, whose answers go into `done`."""
        try:
            found = await asyncio.gather(*(self._look_up(*question) for question in questions))
        except Exception as error:      # noqa: BLE001  a defect, of this item alone
            done.put((item, error))
        else:
            done.put((item, dict(zip(questions, found))))

    async def _look_up(self, name: str, kind: str) -> Answer:
        """As `look_up`."""
        end = time.monotonic() + self.timeout
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
            answer, again = await _ask(server, query, left / (len(plan) - turn))
            if answer.outcome != UNKNOWN:
                return answer
            why = answer.why
            if not again:
                heard.add(server)
        return Answer(UNKNOWN, why=why)


def _serve(loop) -> None:
    """The thread: until the loop is stopped. Then nothing of it is left."""
    loop.run_forever()
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    if tasks:
        loop.run_until_complete(asyncio.wait(tasks))
    loop.close()


async def _ask(server: tuple, query, seconds: float) -> tuple[Answer, bool]:
    """(what one name server says, whether to ask it again)."""
    task = asyncio.ensure_future(_hear(server, query))
    # not `wait_for`, which before Python 3.12 may lose the end of the run
    await asyncio.wait([task], timeout=seconds)
    if task.done():
        return task.result()
    task.cancel()
    return Answer(UNKNOWN, why="the name server did not answer in time"), True


async def _hear(server: tuple, query) -> tuple[Answer, bool]:
    """The same without a limit of time: by UDP and, if that is cut off, by TCP."""
    try:
        try:
            response = await _response(server, query, socket.SOCK_DGRAM)
        except dns.message.Truncated:
            response = await _response(server, query, socket.SOCK_STREAM)
    except socket.gaierror:
        return Answer(UNKNOWN, why=f"{server[0]} is no address of a name server"), False
    except (dns.exception.DNSException, OSError, EOFError) as error:
        return Answer(UNKNOWN, why="the name server could not be asked "
                      f"({type(error).__name__})"), True
    return _read(response), False


async def _response(server: tuple, query, kind: int):
    """The name server's response. By UDP it may be cut off: Truncated."""
    by_tcp = kind == socket.SOCK_STREAM
    family, *_, address = socket.getaddrinfo(server[0], server[1], type=kind,
                                             flags=socket.AI_NUMERICHOST)[0]
    loop, wire = asyncio.get_running_loop(), query.to_wire()
    with socket.socket(family, kind) as connection:
        connection.setblocking(False)
        await loop.sock_connect(connection, address)
        await loop.sock_sendall(connection, len(wire).to_bytes(2, "big") * by_tcp + wire)
        while True:
            wire = await (_by_tcp if by_tcp else _by_udp)(loop, connection)
            response = dns.message.from_wire(wire, raise_on_truncation=not by_tcp)
            if query.is_response(response):     # else it is forged
                return response


async def _by_udp(loop, connection) -> bytes:
    while True:
        try:
            return await loop.sock_recv(connection, MOST_OCTETS)
        except ConnectionRefusedError:          # it may just be starting: it is asked again
            continue


async def _by_tcp(loop, connection) -> bytes:
    async def read(size: int) -> bytes:
        data = b""
        while len(data) < size:
            part = await loop.sock_recv(connection, size - len(data))
            if not part:
                raise EOFError
            data += part
        return data
    return await read(int.from_bytes(await read(2), "big"))


def _read(response) -> Answer:
    """Only records, NXDOMAIN and an answer without records mean something."""
    code = response.rcode()
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
