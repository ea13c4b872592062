"""What a person may be shown of a text: no address and no secret of it, whoever wrote it and
however long it is."""
from __future__ import annotations

import re
from time import process_time

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.support.product import masking

# RFC 5322 3.2.3
ATOM = st.text("abcdefghijklmnopqrstuvwxyzABCXYZ0189!#$%&*+-/=?^_`{|}~", min_size=3, max_size=20)
DOTTED = st.lists(ATOM, min_size=1, max_size=3).map(".".join)
# RFC 5321 4.1.2. Of `"no" to "@ab"@c` nobody can say whether `" to "@ab` is the address.
QUOTED = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=3,
                 max_size=20).filter(lambda text: not text.startswith("@")).map(
    lambda text: '"' + re.sub(r'(["\\])', r"\\\1", text) + '"')
# RFC 6531 3.3
FOREIGN = st.text("äöüßéñçжшю\u4e2d\u6587\u0301", min_size=3, max_size=10)
DOMAINS = st.sampled_from(["example.org", "b.example", "xn--bcher-kva.example", "bücher.example",
                           "[192.0.2.1]", "[IPv6:2001:db8::1]", "localhost", "a_b.example"])
BEFORE = st.sampled_from(["", "550 <", "to: ", "user unknown: ", "(", "said \"no\" to ",
                          "a@b.example, ", "x;", "{'to': '", "\t", "line\n", "mailto:", "\u201c"])
AFTER = st.sampled_from(["", ">: unknown", " is full", ", c@d.example", ")", "'}", "\n", ";x",
                         "\u201d", ">"])


@settings(max_examples=200)
@given(BEFORE, st.one_of(DOTTED, QUOTED, FOREIGN), DOMAINS, AFTER)
def test_no_address_survives(before, name, domain, after):     # R72
    assume(not masking.HIDDEN.startswith(name))         # what stands for any name
    shown = masking.text(f"{before}{name}@{domain}{after}")
    assert f"{name}@" not in shown
    rest, around = name[2:].strip('"'), f"{before} {domain} {after}"
    # `around`: the "ull" of " is full" is no part of the name
    assert len(name) < 6 or rest in around or rest not in shown
    assert domain in shown                              # whose server it was may be told
    assert masking.text(shown) == shown


@pytest.mark.parametrize("words, shown", [
    ('to "john doe"@example.com', 'to "***@example.com'),
    ('"a@b c"@example.com', '"***@example.com'),
    (r'"john \"x\" doe"@example.com', '"***@example.com'),
    ('n doe"@example.com', 'n d***@example.com'),
    ("john@[192.0.2.1]", "j***@[192.0.2.1]"), ("user/dept@example.com", "u***@example.com"),
    ("o'hara@b.example", "o***@b.example"), ("'john@b.example'", "'j***@b.example'"),
    ("a%b@c.example", "a***@c.example"), ("jürgen@bücher.example", "j***@bücher.example"),
    ("john%40example.org", "j***%40example.org"), ("john%2540example.org", "j***%2540example.org"),
    ("/unsubscribe/john%40example.org/x", "/unsubscribe/j***%40example.org/x"),
    ("from=a1%40x.example&to=b1%40y.example", "from=a***%40x.example&to=b***%40y.example"),
    ("john&#64;example.org", "j***&#64;example.org"),
    ("john\uff20example.org", "j***\uff20example.org"),
    (r"Fred\ Bloggs@example.org", "F***@example.org"), ("john(at home)@example.org",
                                                        "j***@example.org"),
    ("john@(work)example.org", "j***@(work)example.org"), ("a@b@example.org", "a***@example.org"),
    ("SRS0=abcd=AB=x.example=bob@ours.example", "S***@ours.example"),
    ("cut off: john@", "cut off: j***@"),
    ("john@\x1bexample.org", "j***@\x1bexample.org"), ("jo\x00hn@example.org", "j***@example.org"),
    ("@property", "@property"), ("a @ b", "a @ b"), ("'jobs'@'localhost'", "'jobs'@'localhost'"),
    ('{"to": "john@x.example"}', '{"to": "j***@x.example"}'),
    (r"user john\@example.org unknown", "user j***@example.org unknown"),
    ("a@b.example+john%40example.org", "a***@b.***%40example.org"),
    ("x" * 250 + "/john@example.org", "x" * 192 + "***@example.org")])
def test_an_address_shows_one_letter_of_its_name(words, shown):     # R72
    assert masking.text(words) == shown


@pytest.mark.parametrize("words, shown", [
    ("mysql://jobs:pw@db.example/x", "mysql://db.example/x"),
    ("mysql://jobs:p@ss@db.example/x", "mysql://db.example/x"),
    ("mysql://jobs:p/s?s@db.example/x", "mysql://db.example/x"),
    ("mysql://jobs:it's@db.example/x", "mysql://db.example/x"),
    ("redis://:pw@h.example:6379/0", "redis://h.example:6379/0"),
    ("https://h.example/a?token=1#x", "https://h.example/a?..."),
    ("https://u:p@[2001:db8::1]:8/x", "https://[2001:db8::1]:8/x"),
    ("see 'https://h.example/?a=b', and", "see 'https://h.example/?...', and"),
    ("https://h.example/u/john@x.example", "https://h.example/u/j***@x.example"),
    ("https://h.example/john=x.example@list.example", "https://h.example/j***@list.example"),
    ("https://a.example/http://u:p@b.example/", "https://a.example/http://b.example/"),
    ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_..."),
    ("it begins with whsec_", "it begins with whsec_")])
def test_a_link_shows_neither_login_nor_query(words, shown):     # R72
    assert masking.text(words) == shown


HOSTILE = ["a", "@", "a@", '"', '"@a', '\\"', '\\"@', '"\\', "://", "a://", "://a?", "://a:b", "[",
           "[]", ")@x", "(", "(@x", "%40", "a%40", "%25", "&#0", "a.", ".", "a/", "'", "a'@", "'?",
           "\\", "a@[", "http://[]", "x@(", "whsec_", "é", 'a"@', '"@"', "/a@"]


def _seconds(words: str) -> float:
    """That this process works on a text."""
    began = process_time()
    masking.text(words)
    return process_time() - began


@pytest.mark.slow
@pytest.mark.parametrize("piece", HOSTILE)
def test_ten_times_the_text_takes_about_ten_times_as_long(piece):     # R72
    """What takes the square of it takes a hundred times."""
    for end in ("", "@x", '"@x'):
        small, large = (min(_seconds(piece * (length // len(piece)) + end) for _ in range(2))
                        for length in (8_000, 80_000))
        assert large < 40 * small + 0.1
