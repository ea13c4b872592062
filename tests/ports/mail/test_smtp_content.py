"""The content on the wire: CRLF only, dots doubled, flat memory; no exception from any file."""
from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import threading

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.servers.misbehaving import Drip
from tests.servers.postfix import Postfix
from tests.servers.smtp_sink import Sink
from tests.support.mail import CONTENT
from tests.support.product import Message, content
from tests.support.shell import ROOT, until

PIECES = st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b".", b"..", b"a", b"\xff", b"\x00",
                                   b" ", b"\xc3", b"\xa9", b"\xed\xb3\xbf"]), max_size=30)


def reference(data: bytes) -> bytes:
    """RFC 5321 4.5.2 in the plainest words."""
    *lines, rest = re.split(rb"\r\n|\r|\n", data)
    return b"".join(b"." * line.startswith(b".") + line + b"\r\n"
                    for line in [*lines, *[rest] * (rest != b"")]) + b".\r\n"


@settings(max_examples=300)
@given(PIECES.map(b"".join).filter(bool), PIECES.map(b"".join), st.integers(1, 7))
@example(b"\r\n.\r\n", b"", 1)
@example(b"a\r", b"\n.", 2)
@example(b".", b"x\r", 1)
def test_any_bytes_over_any_border_become_what_the_rfc_says(raw, head, chunk):     # R32
    head = head and reference(head)[:-3].replace(b"\r\n..", b"\r\n.")        # which is ours
    original, content.CHUNK = content.CHUNK, chunk
    try:
        made = content.Content(head, io.BytesIO(raw))
        wire = b"".join(made.blocks())
    finally:
        content.CHUNK = original
    assert wire == reference(head + raw)
    assert made.size == len(re.sub(rb"(?m)^\.", b"", wire[:-3]))
    assert made.eight_bit == any(byte > 127 for byte in head + raw)
    assert not re.search(rb"\r(?!\n)|(?<!\r)\n", wire)


@pytest.fixture(scope="module")
def postfix():
    """A real one, which refuses every bare line end and every command sent too early."""
    with Postfix() as server:
        yield server


@pytest.mark.slow
@pytest.mark.parametrize("raw", [
    CONTENT, CONTENT.replace(b"\r\n", b"\n"), CONTENT.replace(b"\r\n", b"\r"), b"a: b\n\n.\n",
    b"a: b\r\r\n\n\r", b"a: b\r\n\r\nx\n.\r\nMAIL FROM:<evil@x.example>\r\n",
    b"a: b\r\n\r\nx\n.\nMAIL FROM:<evil@x.example>\r\n",
    b"a: b\n\n" + b"." * 70_000, b"a: \xff\n\n\xfe", b"." * 3, b"a: b\n\n" + b"x\r" * 30_000])
def test_only_whole_line_ends_reach_the_wire(postfix, send, stored, raw):     # R32
    before = postfix.log().count("status=sent")
    results = [send(postfix, message=stored(raw)) for _ in range(2)]
    assert [(result.outcome, result.enhanced) for result in results] == [("sent", "2.0.0")] * 2
    until(lambda: postfix.log().count("status=sent") == before + 2)
    assert "evil" not in postfix.log()


def test_a_large_message_arrives_whole(relay, send, stored):     # R32
    raw = b"".join(b".%d line\n" % number for number in range(200_000)) + b"\r\r\n\n.\rend"
    server = relay()
    assert send(server, message=stored(raw)).outcome == "sent"
    assert server.contents == [reference(raw)]


@pytest.mark.slow
def test_25_megabytes_raise_memory_by_less_than_8(stored):     # R33
    code = """if True:
        import re, sys
        from tests.support.mail import ENVELOPE, section, soon
        from tests.support.product import Message, Ports
        small, large, port = sys.argv[1:]
        transport = Ports(None).mail(section(port=int(port)))
        # not ru_maxrss: that one starts from the peak of the process that started us
        peak = lambda: int(re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1])
        for path in (small, large):
            before = peak()
            message = Message(path, b"X: 1\\r\\n")
            assert transport.send(ENVELOPE, message, soon(), 1).outcome == "sent"
        print(peak() - before)
    """
    large = b"".join(b"line %d\n" % number for number in range(2_000_000))
    large += b"x" * (25 * 2**20 - len(large))
    paths = stored(name="small").path, stored(large, name="large").path
    with Sink(dump=False) as sink:
        done = subprocess.run([sys.executable, "-c", code, *paths, str(sink.port)], cwd=ROOT,
                              capture_output=True, text=True, check=True)
    assert int(done.stdout) < 8 * 1024


@pytest.mark.parametrize("make, text", [
    (lambda path: None, "the stored message is missing"),
    (lambda path: path.write_bytes(b""), "the stored message is empty"),
    (lambda path: path.mkdir(), "the stored message is not a regular file"),
    (os.mkfifo, "the stored message is not a regular file"),
], ids=["missing", "empty", "folder", "pipe"])
@pytest.mark.parametrize("transport", ["smtp", "maildir"])
def test_a_poisonous_file_is_a_result_with_a_reason(        # R23
        relay, send, tmp_path, transport, make, text):
    path = tmp_path / "raw"
    make(path)
    result = send(relay(), message=Message(str(path), b"X: 1\r\n"), transport=transport,
                  maildir=str(tmp_path / "maildir"))
    assert result == ("final", None, "", text)


@pytest.mark.parametrize("path", ["x" * 5000, "raw/below"])     # others: what names them is refused
def test_a_poisonous_path_is_a_result(relay, send, tmp_path, path):     # R23
    (tmp_path / "raw").write_bytes(b"x")
    assert send(relay(), message=Message(f"{tmp_path}/{path}", b"")).outcome == "final"


def test_a_file_we_may_not_read_is_tried_again(relay, send, stored, tmp_path):     # R23
    message, server = stored(), relay()
    os.chmod(tmp_path, 0o711)
    os.chmod(message.path, 0)
    me = os.geteuid()
    os.seteuid(me or 65534)                     # root may read all
    try:
        result = send(server, message=message)
    finally:
        os.seteuid(me)
    assert result.outcome == "unreadable"
    assert result.text.startswith(f"the stored message cannot be read: {message.path} cannot be ")
    assert "the jobs run as" in result.text


def test_a_file_that_shrinks_meanwhile_is_never_ended_with_a_dot(relay, send, stored):     # R23
    server = relay(DATA=Drip(b"354 go\r\n", 0.1))
    message = stored(CONTENT * 10_000)
    timer = threading.Timer(0.3, os.truncate, (message.path, 400_000))
    timer.start()
    result = send(server, message=message)
    timer.join()
    assert result == ("retry", None, "", "the stored message changed while it was sent")
    assert server.contents == []
