"""How much shared memory an engine may use for objects that go from process to process."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

# An engine such as Ray writes objects to disk when they do not fit. With less than this, many runs would wait for that.
LEAST = 256 << 20

# The share of the memory that a session may use. Ray's own default is 30 %, but an engine is not alone on its machine.
SHARE = 0.1

# The share of the shared memory that is free now. Beyond it an engine would take a disk in place of memory.
FREE = 0.9


def object_store_bytes(root: Path = Path("/")) -> int:
    """Bytes for the object store of a session of our own."""
    limits = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"), *_group_limits(root)]
    wanted = max(LEAST, int(min(limits) * SHARE))
    try:
        return max(LEAST, min(wanted, int(shutil.disk_usage(root / "dev/shm").free * FREE)))
    except OSError:
        return LEAST


def _group_limits(root: Path) -> list[int]:
    """The limits of the control groups that this process is in."""
    try:
        own = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return []
    paths = [Path(line.removeprefix("0::/")) for line in own if line.startswith("0::/")]
    found = []
    for folder in (folder for path in paths for folder in (path, *path.parents)):
        try:
            limit = (root / "sys/fs/cgroup" / folder / "memory.max").read_text().strip()
        except OSError:
            continue
        if limit.isdecimal():
            found.append(int(limit))
    return found
