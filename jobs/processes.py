"""Processes of many steps: they end with the one that started them, and search no module for garbage."""

import atexit
import gc
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


def after_a_step() -> None:
    """Set aside what the next steps need too, some 700,000 objects of modules, from the search for garbage.

    Each step that gives back a model's memory searches, and each search took 0.4 s. What a step left as
    garbage goes first; at the end all of it is searched, as libraries that count their objects expect.
    """
    gc.collect()
    gc.freeze()
    atexit.unregister(gc.unfreeze)
    atexit.register(gc.unfreeze)
