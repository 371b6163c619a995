"""Processes that end with the one that started them, however that ends."""

import multiprocessing
import os
import threading


def end_with_parent() -> None:
    """Let this process end when the one that it is a worker of is gone; nothing where it is no worker.

    A worker whose parent was killed would wait for work for ever; a step whose run was killed would go on,
    beside its own retry.
    """
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=lambda: (parent.join(), os._exit(1)), daemon=True).start()
