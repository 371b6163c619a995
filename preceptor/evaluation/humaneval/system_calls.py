"""The seccomp filter of refused system calls, which bubblewrap installs for sandboxed programs."""

import struct

# By architecture, the numbers (Linux's unistd.h) of calls that a test of a function never needs.
REFUSED: dict[str, tuple[int, ...]] = {
    "x86_64": (
        *(56, 57, 58, 435),  # clone, fork, vfork, clone3: processes, threads (RLIMIT_NPROC ignores root)
        *(101, 310, 311, 438),  # ptrace, process_vm_readv, process_vm_writev, pidfd_getfd: other processes
        *(272, 308, 41),  # unshare, setns, socket: other namespaces (AF_VSOCK ignores namespaces)
        *(250, 248, 249),  # keyctl, add_key, request_key: the user's keys
        *(321, 298, 323, 425),  # bpf, perf_event_open, userfaultfd, io_uring_setup: often exploited
        *(319, 447, 29),  # memfd_create, memfd_secret, shmget: memory that RLIMIT_AS does not count
        *(68, 64, 240),  # msgget, semget, mq_open: the same
    ),
    "aarch64": (
        *(220, 435),  # clone, clone3
        *(117, 270, 271, 438),
        *(97, 268, 198),
        *(219, 217, 218),
        *(280, 241, 282, 425),
        *(279, 447, 194),
        *(186, 190, 180),
    ),
}
AUDIT_ARCHITECTURE = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}  # linux/audit.h
LOAD, EQUAL, AT_LEAST, RETURN = 0x20, 0x15, 0x35, 0x06  # LOAD reads a word of struct seccomp_data
NUMBER, ARCHITECTURE = 0, 4
ALLOW, NOT_PERMITTED, KILL = 0x7FFF0000, 0x00050001, 0x80000000
X32 = 0x40000000  # the first number of x86_64's second numbering (x32) of the same calls


def refusals(machine: str) -> bytes:
    """The filter in classic BPF, 8 bytes for each instruction. `machine` is one of REFUSED.

    Refused calls get EPERM, and other architectures are killed. A jump has the number of instructions to skip
    if its test is true.
    """
    calls = REFUSED[machine]
    code = [
        (LOAD, 0, 0, ARCHITECTURE),
        (EQUAL, 1, 0, AUDIT_ARCHITECTURE[machine]),
        (RETURN, 0, 0, KILL),
        (LOAD, 0, 0, NUMBER),
        (AT_LEAST, len(calls) + 1, 0, X32),
        *((EQUAL, len(calls) - place, 0, call) for place, call in enumerate(calls)),
        (RETURN, 0, 0, ALLOW),
        (RETURN, 0, 0, NOT_PERMITTED),
    ]
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in code)
