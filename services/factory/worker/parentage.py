"""What Linux offers to tie processes together: death with the parent, adoption of orphans, no way to more rights."""

import ctypes
import os
import sys

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_CHILD_SUBREAPER = 36
_PR_SET_NO_NEW_PRIVS = 38


def _control(option: int, value: int) -> bool:
    """One prctl; False where the system has none."""
    if sys.platform != "linux":
        return False
    return bool(ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0) == 0)


def die_with_parent(parent: int, signal_number: int) -> None:
    """Get this signal when the parent ends. Ends the process at once if the parent is gone already."""
    _control(_PR_SET_PDEATHSIG, signal_number)
    if os.getppid() != parent:
        os._exit(1)


def adopt_orphans(adopt: bool = True) -> bool:
    """Become the parent of every process below this one that loses its own, or do so no more."""
    return _control(_PR_SET_CHILD_SUBREAPER, int(adopt))


def give_up_privileges() -> bool:
    """Let no program that is run from here on have more rights than this process, whatever its file says."""
    return _control(_PR_SET_NO_NEW_PRIVS, 1)


def hide() -> bool:
    """Let no process of the same user look into this one or change it."""
    return _control(_PR_SET_DUMPABLE, 0)
