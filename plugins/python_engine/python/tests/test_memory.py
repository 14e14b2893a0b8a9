"""How much memory the objects of an engine may have."""

from __future__ import annotations

import tempfile
import unittest
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

from crossrun_engine import memory


class ObjectStore(unittest.TestCase):
    def setUp(self) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self.addCleanup(self._folder.cleanup)
        self.root = Path(self._folder.name)
        self._write("proc/self/cgroup", "0::/outer/inner\n")
        (self.root / "dev/shm").mkdir(parents=True)

    def _write(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def test_it_is_a_tenth_of_the_smallest_limit_of_any_group(self) -> None:
        self._write("sys/fs/cgroup/outer/inner/memory.max", "max\n")
        without = memory.object_store_bytes(self.root)
        self._write("sys/fs/cgroup/outer/memory.max", f"{3 << 30}\n")
        self.assertEqual(memory.object_store_bytes(self.root), min(without, (3 << 30) // 10))
        self._write("sys/fs/cgroup/outer/inner/memory.high", f"{2 << 30}\n")
        self.assertEqual(memory.object_store_bytes(self.root), memory.LEAST)

    def test_groups_of_the_first_version_count_too(self) -> None:
        self._write("proc/self/cgroup", "5:cpu,cpuacct:/box\n4:memory:/box\n0::/\n")
        self._write("sys/fs/cgroup/memory/box/memory.limit_in_bytes", "9223372036854771712\n")
        without = memory.object_store_bytes(self.root)
        self._write("sys/fs/cgroup/memory/memory.limit_in_bytes", f"{3 << 30}\n")
        self.assertEqual(memory.object_store_bytes(self.root), min(without, (3 << 30) // 10))

    def test_shared_memory_without_a_size_is_no_limit(self) -> None:
        def size(total: int, free: int) -> int:
            with mock.patch("shutil.disk_usage", return_value=SimpleNamespace(total=total, free=free)):
                return memory.object_store_bytes(self.root)

        self._write("sys/fs/cgroup/outer/memory.max", "max\n")
        with mock.patch("os.sysconf", return_value=1 << 20):
            self.assertEqual(size(1 << 60, 1 << 60), int((1 << 40) * memory.SHARE))
            self.assertEqual(size(1 << 60, 0), memory.LEAST)
            self.assertEqual(size(0, 0), size(1 << 60, 1 << 60))

    def test_it_is_never_less_than_runs_need(self) -> None:
        self._write("sys/fs/cgroup/outer/memory.max", "1048576\n")
        self.assertEqual(memory.object_store_bytes(self.root), memory.LEAST)
        (self.root / "dev/shm").rmdir()
        self.assertEqual(memory.object_store_bytes(self.root), memory.LEAST)


if __name__ == "__main__":
    unittest.main()
