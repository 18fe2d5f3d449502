"""Locks that a process made by fork finds free."""

from __future__ import annotations

import os
from threading import Lock


def keep_free_over_forks(lock: Lock) -> None:
    """For a lock of the whole process: a fork waits until it holds it, and parent and child give it
    back. Else one that another thread holds just then stays locked in the child for ever, which
    has that thread no more.

    Whoever holds such a lock asks for no other one and imports nothing meanwhile.
    """
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(
            before=lock.acquire, after_in_parent=lock.release, after_in_child=lock.release
        )
