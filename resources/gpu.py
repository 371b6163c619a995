"""Assign GPUs to processes, if several processes share several GPUs of this machine.

Active only if PRECEPTOR_GPUS lists the GPUs in the form of CUDA_VISIBLE_DEVICES: "0,1", or UUIDs. A claim is
a socket bound to a name that only one process can bind. It leaves no file behind and ends with its process,
even if that is killed.
"""

import errno
import os
import socket
import time

VARIABLE = "PRECEPTOR_GPUS"
WAIT_SECONDS = 60.0  # a process keeps its GPU until it exits, a moment after its step ends
_claims: dict[str, socket.socket] = {}


class NoFreeGpuError(RuntimeError):
    """No GPU is free; the message says what to change."""


def claim_gpus(device: str, count: int = 1) -> None:
    """Claim `count` GPUs until this process ends, and make them the only ones that CUDA shows it.

    Call it before CUDA starts, so before the first model is loaded. Raises NoFreeGpuError.
    """
    known = shared_gpus()
    if not known or device == "cpu":
        return
    if count > len(known):
        raise NoFreeGpuError(
            f"'tensor_parallel_size: {count}' needs more GPUs than the {len(known)} in"
            f" {VARIABLE}={','.join(known)}: lower it or add GPUs"
        )
    end = time.monotonic() + WAIT_SECONDS
    while len(_claims) < count:
        if not _claim_one_of(known):
            _wait(known, end)
    os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(list(_claims)[:count])


def shared_gpus() -> list[str]:
    """The GPUs in PRECEPTOR_GPUS; empty if it is not set."""
    names = (name.strip() for name in os.environ.get(VARIABLE, "").split(","))
    return list(dict.fromkeys(name for name in names if name))


def _claim_one_of(known: list[str]) -> bool:
    for name in known:
        if name not in _claims:
            claim = socket.socket(socket.AF_UNIX)
            try:
                claim.bind(f"\0preceptor/gpu/{name}")  # abstract socket: no file
            except OSError as error:
                claim.close()
                if error.errno != errno.EADDRINUSE:
                    raise
            else:
                _claims[name] = claim
                return True
    return False


def _wait(known: list[str], end: float) -> None:
    if time.monotonic() > end:
        raise NoFreeGpuError(
            f"no GPU of {VARIABLE}={','.join(known)} became free within {WAIT_SECONDS:g} s. Run at most as"
            " many steps at once as there are GPUs (`concurrency.pools.default_limit` in dagster.yaml,"
            " `--processes` of jobs.run_study), and fewer if a teacher takes several GPUs"
        )
    time.sleep(0.2)
