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
    ("'john@b.example'", "'***@b.example'"), ("a%b@c.example", "a***@c.example"),
    ("jürgen@bücher.example", "j***@bücher.example"),
    ("john%40example.org", "j***%40example.org"), ("john%2540example.org", "j***%2540example.org"),
    ("from=a1%40x.example&to=b1%40y.example", "f***%40y.example"),
    ("john&#64;example.org", "j***&#64;example.org"),
    ("john\uff20example.org", "j***\uff20example.org"), ("a@b@example.org", "a***@example.org"),
    ("cut off: john@", "cut off: j***@"),
    ("john@\x1bexample.org", "j***@\x1bexample.org"), ("jo\x00hn@example.org", "j***@example.org"),
    ("@property", "@property"), ("a @ b", "a @ b"), ("'jobs'@'localhost'", "'jobs'@'localhost'"),
    ('{"to": "john@x.example"}', '{"to": "j***@x.example"}'),
    (r"user john\@example.org unknown", "user j***@example.org unknown"),
    # links show neither login nor query
    ("mysql://jobs:pw@db.example/x", "mysql://***@db.example/x"),
    ("mysql://jobs:p@ss@db.example/x", "mysql://***@db.example/x"),
    ("mysql://jobs:p/s?s@db.example/x", "mysql://***@db.example/x"),
    ("mysql://jobs:it's@db.example/x", "mysql://***@db.example/x"),
    ("https://h.example/a?token=1#x", "https://h.example/a?..."),
    ("https://u:p@[2001:db8::1]:8/x", "https://***@[2001:db8::1]:8/x"),
    ("see 'https://h.example/?a=b', and", "see 'https://h.example/?...', and"),
    ("https://h.example/u/john@x.example", "https://***@x.example"),
    ("https://h.example/u/john%40x.example/y", "https://h.example/u/j***%40x.example/y"),
    ("https://a.example/http://u:p@b.example/", "https://***@b.example/"),
    ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_..."),
    ("it begins with whsec_", "it begins with whsec_")])
def test_an_address_shows_one_letter_of_its_name_and_a_link_its_host(words, shown):     # R72
    assert masking.text(words) == shown
    assert masking.text(shown) == shown


def _seconds(words: str) -> float:
    """That this process works on a text."""
    began = process_time()
    masking.text(words)
    return process_time() - began


@pytest.mark.slow
@pytest.mark.parametrize("piece", ["a", "a@", '"', '"@a', '\\"', '\\"@', "://", "://a:b", "[",
                                   "%40", "%25", "&#0", "a/", "a@[", "http://[]", '"@"', "whsec_"])
def test_ten_times_the_text_takes_about_ten_times_as_long(piece):     # R72
    """What takes the square of it takes a hundred times."""
    small, large = (_seconds(piece * (length // len(piece)) + '"@x') for length in (2_000, 20_000))
    assert large < 40 * small + 0.1
