"""An address reaches the wire as it is or not at all."""
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs_lib.text.addresses import AddressError, ascii_form, check, forms, join_local, split_local

GOOD = ["a@b.example", "A.b+c-d_e=f@Sub.Example.ORG", "o'hara@b.example", "a..b@docomo.example",
        ".a@b.example", "SRS0=abcd=AB=x.example=" + "y" * 90 + "@ours.example", "root@localhost",
        "a@b_c.example",
        '"a"@b.example', '"a@b"@c.example', "jürgen@home.example",
        "a@xn--bcher-kva.example", "a@1.2.3.example", "x" * 240 + "@b.example.org"]

BAD = ["", "a", "@", "a@", "@b", "a b@c.example", '"a b"@c.example', "a@b c", "<a@b.example>",
       "a@b.example>", "a,b@c.example", "a@b.example,c@d.example", "a\r\n@b.example",
       "a@b.example\n", "a\x00@b", "a\x7f@b", "a\t@b", "a\u0085@b.example", "a\u2028@b.example",
       "a\u00a0b@c.example", "a\u200b@b.example", "a\ud800@b.example", "a@b..example", "a@.b",
       "a@b.", "a@-b.example", "a@b-.example", "a@[127.0.0.1]", "a@[IPv6:::1]", "a@b/c",
       "a(b)@c.example", "a;b@c.example", "a:b@c.example", "a[b]@c.example", 'a"b@c.example',
       '"a@b.example', '"a"b"@c.example', '"a\\"b"@c.example', '""@b.example', '"@b.example',
       "a\\b@c.example", "x" * 241 + "@b.example.org", "é" * 121 + "@b.example.org",
       "a@" + "b" * 64 + ".example", "a@ｅxample.org", "a@１.example", "a@b\u2024example",
       "a@例え。テスト", "a@☃.example", None, 5, b"a@b.example", "caf\ufffd@b.example",
       "a@caf\ufffd.example"]


@pytest.mark.parametrize("address", BAD)
def test_a_bad_address_is_refused_with_a_printable_reason(address):     # R35
    with pytest.raises(AddressError) as caught:
        check(address)
    assert str(caught.value).isprintable()


def test_a_long_domain_beyond_ascii_is_refused_at_once():     # R67
    """Its `xn--` form takes the square of its length: a minute of 40,000 letters."""
    domain = "".join(chr(0x4e00 + each % 5000) for each in range(20_000)) + ".example"
    began = time.process_time()
    for refuse in (lambda: check(f"a@{domain}"), lambda: ascii_form(domain)):
        with pytest.raises(ValueError, match="domain"):
            refuse()
    assert time.process_time() - began < 1


@pytest.mark.parametrize("address, wire", [
    *zip(GOOD, GOOD), ("a@bücher.example", "a@xn--bcher-kva.example"),
    ("jürgen@Bücher.example", "jürgen@xn--bcher-kva.example"),
    ("a@faß.example", "a@xn--fa-hia.example"),          # not fass.example, as of old
    ("a@例え.テスト", "a@xn--r8jz45g.xn--zckzah")])
def test_a_good_address_stays_as_it_is_and_its_domain_goes_as_idna(address, wire):     # R35
    assert check(address) == wire == check(wire)


@given(st.text(max_size=40), st.text(max_size=40))
def test_whatever_passes_cannot_break_out_of_a_command(local, domain):     # R35
    for address in (f"{local}@{domain}", f"{local}@b.example", f"a@{domain}", local):
        try:
            passed = check(address)
        except AddressError:
            continue
        assert not re.search(r"[\x00-\x20\x7f<>,\u0080-\u00a0\s]", passed)
        assert len(passed.encode()) <= 254
        assert passed.count("@") >= 1
        assert passed == address or not address.isascii()


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters='<>,"\\'),
               min_size=1, max_size=30))
def test_quotes_are_taken_off_and_put_on_again(local):
    address = f"{join_local(local)}@b.example"
    assert split_local(check(address)) == (local, "b.example")


@pytest.mark.parametrize("name, made", [
    ("Example.ORG.", "example.org"), ("grüße.example", "xn--gre-6ka8l.example"),
    ("xn--gre-6ka8l.example", "xn--gre-6ka8l.example"),
    ("GRU\u0308SSE.example", "xn--grsse-lva.example"), ("例え.テスト", "xn--r8jz45g.xn--zckzah"),
    ("sub_1.a-b.example", "sub_1.a-b.example")])
def test_a_name_as_it_is_asked_for(name, made):
    assert ascii_form(name) == made
    assert forms(name) == sorted({made, name.lower().rstrip(".")})


@pytest.mark.parametrize("name", ["", ".", "example", "a..b", "-a.example", "a b.example",
                                  "1.2.3.4", "a@b.example", "x" * 64 + ".example",
                                  ".".join(["x" * 60] * 5), "a\u2028b.example", "☃.example"])
def test_what_is_no_domain_name(name):
    with pytest.raises(ValueError, match="not a domain name"):
        ascii_form(name)
