"""Check paths before opening them: only regular files and folders, no devices, pipes or kernel files.

Also defines the folder of this machine's caches.
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
    """Why a path must not be opened, checked without opening it; None for a regular file or a folder.

    Reading a pipe or a device may never end, and files under /proc change while they are read. Raises OSError
    if the path cannot be examined.
    """
    real = path.resolve()  # /dev/stdin, for example, leads to /proc
    for folder in KERNEL:
        if real.is_relative_to(folder):
            leads = "" if str(path) == str(real) else f" (it leads to {real})"
            return f"is in {folder}{leads}; use a regular file or folder"
    kind = stat.S_IFMT(real.stat().st_mode)
    if kind in (stat.S_IFREG, stat.S_IFDIR):
        return None
    return f"is {KINDS.get(kind, 'not a file')}; use a regular file or folder"


def folder_problem(folder: Path) -> str | None:
    """Why a folder must not be loaded: the first file, up to two levels deep, that must not be opened."""
    for path in sorted((*folder.glob("*"), *folder.glob("*/*"))):
        try:
            problem = path_problem(path)
        except (OSError, RuntimeError):  # a broken or circular link, which fails at once when opened
            continue
        if problem is not None:
            return f"the folder's {path.relative_to(folder)} {problem}"
    return None


def writing_problem(folder: Path) -> str | None:
    """Why nothing can be written in a folder, which may not exist yet; checked without writing."""
    for place in (folder, *folder.parents):
        try:
            if place.is_symlink() and not place.exists():
                return f"{place} is a broken link"
            if not place.exists():
                continue
            if not place.is_dir():
                return f"{place} is not a folder"
            if (problem := path_problem(place)) is not None:
                return f"{place} {problem}"
        except (OSError, RuntimeError) as error:
            return f"{place} cannot be examined ({error})"
        return None if os.access(place, os.W_OK | os.X_OK) else f"{place} is not writable"
    return None


def cache_folder() -> Path:
    """The folder of caches: parts of remote stores, hashes of files. It may be deleted while nothing runs."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "preceptor"
