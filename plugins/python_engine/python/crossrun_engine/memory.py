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
        shared = shutil.disk_usage(root / "dev/shm")
    except OSError:
        return LEAST
    # One that was mounted without a size has no limit of its own, and says 0.
    return max(LEAST, min(wanted, int(shared.free * FREE))) if shared.total else wanted


def _group_limits(root: Path) -> list[int]:
    """The limits of the control groups that this process is in, in either version of the interface."""
    try:
        own = (root / "proc/self/cgroup").read_text(errors="replace").splitlines()
    except OSError:
        return []
    found = []
    for file in (file for line in own for file in _limit_files(root / "sys/fs/cgroup", line)):
        try:
            limit = file.read_text().strip()
        except OSError:
            continue
        if limit.isdecimal():
            found.append(int(limit))
    return found


def _limit_files(groups: Path, line: str) -> list[Path]:
    """The files with the limits of the group in a line such as `0::/a/b` or `4:memory:/a/b`, and of those above it."""
    _, _, rest = line.partition(":")
    controllers, _, path = rest.partition(":")
    if not controllers:
        # Beyond `memory.high` processes are slowed down until they hardly run.
        top, names = groups, ["memory.max", "memory.high"]
    elif "memory" in controllers.split(","):
        # In a container the group's own files are at the top, whatever the path says.
        top, names = groups / "memory", ["memory.limit_in_bytes"]
    else:
        return []
    own = Path(path.lstrip("/"))
    return [top / folder / name for folder in (own, *own.parents) for name in names]
