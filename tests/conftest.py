"""What holds for every test."""

import signal

from tests.oracles import pytest_addoption, pytest_collection_finish, pytest_configure, pytest_sessionfinish

__all__ = ["pytest_addoption", "pytest_collection_finish", "pytest_configure", "pytest_sessionfinish"]

# A process that a shell started in the background ignores SIGINT, and so do its children: interrupts are tested.
signal.signal(signal.SIGINT, signal.default_int_handler)
