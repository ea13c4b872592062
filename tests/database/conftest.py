"""What the tests of the database port share: connections that get closed."""
import contextlib

import pytest

from tests.support.databases import migrated
from tests.support.product import connect


@pytest.fixture
def opened():
    """`opened(url, readonly=True)`, or `opened(url, migrated)` with the tables: a connection that
    is closed at the end."""
    with contextlib.ExitStack() as stack:
        yield lambda url, make=connect, **how: stack.enter_context(
            contextlib.closing(make(url, **how)))


@pytest.fixture
def db(engine_url, opened):
    return opened(engine_url, migrated)
