"""The system calls that a sandboxed program is refused, as the seccomp filter that bubblewrap installs."""

import struct

# By architecture, the numbers of calls that a test of a function never needs. Numbers: Linux's unistd.h.
REFUSED: dict[str, tuple[int, ...]] = {
    "x86_64": (
        *(56, 57, 58, 435),  # clone, fork, vfork, clone3: no process or thread; RLIMIT_NPROC spares root
        *(101, 310, 311, 438),  # ptrace, process_vm_readv, process_vm_writev, pidfd_getfd: other processes
        *(272, 308, 41),  # unshare, setns, socket: other namespaces; AF_VSOCK knows none
        *(250, 248, 249),  # keyctl, add_key, request_key: the user's keys
        *(321, 298, 323, 425),  # bpf, perf_event_open, userfaultfd, io_uring_setup: the kernel's weak sides
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
LOAD, EQUAL, AT_LEAST, RETURN = 0x20, 0x15, 0x35, 0x06  # of a word at a place of struct seccomp_data
NUMBER, ARCHITECTURE = 0, 4
ALLOW, NOT_PERMITTED, KILL = 0x7FFF0000, 0x00050001, 0x80000000
X32 = 0x40000000  # where x86_64's second numbering of the same calls begins


def refusals(machine: str) -> bytes:
    """Classic BPF, 8 bytes an instruction: EPERM for the refused calls, death for other architectures.

    machine is one of REFUSED. A jump is told by how many instructions it skips where the test holds.
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
