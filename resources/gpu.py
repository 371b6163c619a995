"""Which GPU of this machine a process computes on, where several processes share several GPUs.

Off unless PRECEPTOR_GPUS names the GPUs as CUDA_VISIBLE_DEVICES would: "0,1", or their UUIDs. A claim is a
socket bound to a name that one process at a time can have: no file stays behind, and the claim ends with its
process, however that ends.
"""

import errno
import os
import socket
import time

VARIABLE = "PRECEPTOR_GPUS"
WAIT_SECONDS = 60.0  # a process whose step has just ended gives its GPU back only when it exits
_claims: dict[str, socket.socket] = {}


class NoFreeGpuError(RuntimeError):
    """Every GPU is another process's; the text says what to change."""


def claim_gpus(device: str, count: int = 1) -> None:
    """Make so many GPUs this process's own until it ends, and the only ones that CUDA shows it.

    Call it before CUDA starts, which is before the first model. Raises NoFreeGpuError.
    """
    known = shared_gpus()
    if not known or device == "cpu":
        return
    if count > len(known):
        raise NoFreeGpuError(
            f"'tensor_parallel_size: {count}' asks for more GPUs than {VARIABLE}={','.join(known)} names"
        )
    end = time.monotonic() + WAIT_SECONDS
    while len(_claims) < count:
        if not _claim_one_of(known):
            _wait(known, end)
    os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(list(_claims)[:count])


def shared_gpus() -> list[str]:
    """The GPUs that PRECEPTOR_GPUS names; none where it is not set."""
    names = (name.strip() for name in os.environ.get(VARIABLE, "").split(","))
    return list(dict.fromkeys(name for name in names if name))


def _claim_one_of(known: list[str]) -> bool:
    for name in known:
        if name not in _claims:
            claim = socket.socket(socket.AF_UNIX)
            try:
                claim.bind(f"\0preceptor/gpu/{name}")  # abstract: no file
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
            f"no GPU of {VARIABLE}={','.join(known)} became free within {WAIT_SECONDS:g} s. Let no more"
            " steps run at once than there are GPUs (`concurrency.pools.default_limit` in dagster.yaml,"
            " `--processes` of jobs.run_study), and fewer where a teacher takes several GPUs"
        )
    time.sleep(0.2)
