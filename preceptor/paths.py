"""Which paths may be opened: regular files and folders, never a device, a pipe or the kernel's own files.

And where this machine keeps what it can make again.
"""

import os
import stat
from pathlib import Path

KERNEL = ("/proc", "/sys")
KINDS = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}


def path_problem(path: Path) -> str | None:
    """Why a path must not be opened, found without opening it; None for a regular file or a folder.

    Reading a pipe or a device may never end, and what the kernel shows under /proc changes as it is read.
    Raises OSError where it cannot be looked at.
    """
    real = path.resolve()  # /dev/stdin, say, leads to /proc
    for folder in KERNEL:
        if real.is_relative_to(folder):
            leads = "" if str(path) == str(real) else f" (it leads to {real})"
            return f"lies in {folder}{leads}: give a regular file or folder"
    kind = stat.S_IFMT(real.stat().st_mode)
    if kind in (stat.S_IFREG, stat.S_IFDIR):
        return None
    return f"is {KINDS.get(kind, 'no file')}: give a regular file or folder"


def folder_problem(folder: Path) -> str | None:
    """Why files of a folder, two levels deep, must not be opened, as whatever loads it would do."""
    for path in sorted((*folder.glob("*"), *folder.glob("*/*"))):
        try:
            problem = path_problem(path)
        except (OSError, RuntimeError):  # a link to nowhere, or to itself: opening it ends at once
            continue
        if problem is not None:
            return f"the folder's {path.relative_to(folder)} {problem}"
    return None


def writing_problem(folder: Path) -> str | None:
    """Why nothing can be written in a folder, which may have to be made first; found without writing."""
    for place in (folder, *folder.parents):
        try:
            if place.is_symlink() and not place.exists():
                return f"{place} is a link to nowhere"
            if not place.exists():
                continue
            if not place.is_dir():
                return f"{place} is no folder"
            if (problem := path_problem(place)) is not None:
                return f"{place} {problem}"
        except (OSError, RuntimeError) as error:
            return f"{place} cannot be looked at ({error})"
        return None if os.access(place, os.W_OK | os.X_OK) else f"nothing can be written in {place}"
    return None


def cache_folder() -> Path:
    """What this machine keeps of remote stores, and hashes of files; it may be deleted while nothing runs."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "preceptor"
