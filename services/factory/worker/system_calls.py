"""A filter that keeps a process and all below it from the system calls that no agent needs and escapes are made of."""

import ctypes
import errno
import os
import platform
import struct
import sys
from typing import NamedTuple


class Machine(NamedTuple):
    """An architecture: its mark in the filter, and its numbers."""

    mark: int
    clone: int
    denied: tuple[int, ...]


_NEWER = (425, 428, 429, 430, 431, 432, 433, 438, 442)
"""io_uring_setup, open_tree, move_mount, fsopen, fsconfig, fsmount, fspick, pidfd_getfd, mount_setattr: everywhere."""

_X86_64 = (101, 155, 161, 163, 164, 165, 166, 167, 168, 169, 172, 173, 175, 176, 246, 248, 249, 250, 272, 298, 304)
_ARM_64 = (117, 41, 51, 89, 170, 40, 39, 224, 225, 142, 105, 106, 104, 217, 218, 219, 97, 241, 265, 268, 270, 271)
"""ptrace, pivot_root, chroot, acct, settimeofday, mount, umount2, swapon, swapoff, reboot, iopl, ioperm, init_module,
delete_module, kexec_load, add_key, request_key, keyctl, unshare, perf_event_open, open_by_handle_at, and the same."""

_MACHINES = {
    "x86_64": Machine(0xC000003E, 56, (*_X86_64, 308, 310, 311, 313, 320, 321, 323, *_NEWER)),
    "aarch64": Machine(0xC00000B7, 220, (*_ARM_64, 273, 294, 280, 282, *_NEWER)),
}
"""Also setns, process_vm_readv, process_vm_writev, finit_module, kexec_file_load, bpf, userfaultfd."""

_CLONE3 = 435
_NAMESPACES = 0x7E020000
_OTHER_TABLE = 0x40000000  # numbers from here on are the x32 ones of x86_64

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER_AT, _MARK_AT, _FIRST_ARGUMENT_AT = 0, 4, 16
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050000
_PR_SET_SECCOMP, _MODE_FILTER = 22, 2


def can_filter() -> bool:
    """Whether the numbers of this machine are known."""
    return sys.platform == "linux" and platform.machine() in _MACHINES


def filter_calls() -> None:
    """From now on. The process must have given up the right to more privileges."""
    program = write_filter(_MACHINES[platform.machine()])
    buffer = ctypes.create_string_buffer(program, len(program))
    described = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(buffer))
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_SECCOMP, _MODE_FILTER, described, 0, 0):
        number = ctypes.get_errno()
        raise OSError(number, f"system calls cannot be filtered: {os.strerror(number)}")


def write_filter(machine: Machine) -> bytes:
    """The filter in the kernel's packet language. clone3 hides its flags, so it is said not to exist: all fall back."""
    steps = [
        _step(_LOAD, _MARK_AT),
        _step(_EQUAL, machine.mark, yes=1),
        _step(_RETURN, _REFUSE | errno.EPERM),
        _step(_LOAD, _NUMBER_AT),
        _step(_AT_LEAST, _OTHER_TABLE, no=1),
        _step(_RETURN, _REFUSE | errno.EPERM),
        _step(_EQUAL, _CLONE3, no=1),
        _step(_RETURN, _REFUSE | errno.ENOSYS),
    ]
    for number in machine.denied:
        steps += [_step(_EQUAL, number, no=1), _step(_RETURN, _REFUSE | errno.EPERM)]
    steps += [
        _step(_EQUAL, machine.clone, no=3),
        _step(_LOAD, _FIRST_ARGUMENT_AT),
        _step(_ANY_BIT, _NAMESPACES, no=1),
        _step(_RETURN, _REFUSE | errno.EPERM),
        _step(_RETURN, _ALLOW),
    ]
    return b"".join(steps)


def _step(code: int, value: int, *, yes: int = 0, no: int = 0) -> bytes:
    return struct.pack("HBBI", code, yes, no, value)
