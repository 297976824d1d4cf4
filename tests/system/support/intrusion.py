# SPDX-License-Identifier: BSD-2-Clause
"""What somebody who runs code in a process could make it do: a system call of his choice."""

import ctypes
import fcntl
import os
import struct
import termios

from support.eventually import eventually

PTRACE_PEEKTEXT, PTRACE_GETREGS, PTRACE_SETREGS, PTRACE_ATTACH, PTRACE_DETACH = 1, 12, 13, 16, 17
SYSCALL_INSTRUCTION = b"\x0f\x05"
NO_CALL = 2**64 - 1  # nothing to restart
WALL = 0x40000000  # threads and processes of others, too
PIDFD_GETFD = 438  # a system call

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.restype = ctypes.c_long
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]


class Registers(ctypes.Structure):
    """struct user_regs_struct of x86-64."""

    _fields_ = [(name, ctypes.c_uint64) for name in (
        "r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi orig_rax rip cs eflags rsp ss fs_base gs_base "
        "ds es fs gs").split()]


def make_call(process, number, while_it_stands=lambda: None):
    """Makes a process that waits in a system call go on with another one, all of its arguments 0.

    It stands still for a moment only: its supervisor would replace it if it did not answer.
    """
    eventually(lambda: _was_made(process.pid, number, while_it_stands), f"{process} waits in a system call")


def unread_bytes(process, descriptor):
    """How much waits in one of its sockets for it to be read."""
    pidfd = os.pidfd_open(process.pid)
    try:
        ours = _libc.syscall(PIDFD_GETFD, pidfd, descriptor, 0)
        assert ours >= 0, f"{process} has no descriptor {descriptor}"
        try:
            return struct.unpack("i", fcntl.ioctl(ours, termios.FIONREAD, b"\0\0\0\0"))[0]
        finally:
            os.close(ours)
    finally:
        os.close(pidfd)


def _was_made(pid, number, while_it_stands):
    _ptrace(PTRACE_ATTACH, pid)
    _, status = os.waitpid(pid, WALL)
    assert os.WIFSTOPPED(status), f"{pid} ended with {status}"
    try:
        while_it_stands()
        registers = Registers()
        _ptrace(PTRACE_GETREGS, pid, 0, ctypes.addressof(registers))
        behind = _ptrace(PTRACE_PEEKTEXT, pid, registers.rip - 2) & 0xFFFF
        if behind.to_bytes(2, "little") != SYSCALL_INSTRUCTION:
            return False
        registers.rip -= 2
        registers.rax, registers.orig_rax = number, NO_CALL
        for name in ("rdi", "rsi", "rdx", "r10", "r8", "r9"):
            setattr(registers, name, 0)
        _ptrace(PTRACE_SETREGS, pid, 0, ctypes.addressof(registers))
        return True
    finally:
        _ptrace(PTRACE_DETACH, pid)


def _ptrace(request, pid, address=0, data=0):
    ctypes.set_errno(0)
    value = _libc.ptrace(request, pid, address, data)
    if ctypes.get_errno() != 0:
        raise OSError(ctypes.get_errno(), f"ptrace({request}, {pid})")
    return value
