"""A program of an engine that runs beside the driver, such as a node that joins a cluster."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

# Seconds between two looks at what it has printed.
LOOK = 0.05


class Program:
    """One that has said that it is ready. What it prints goes to the file `output`.

    Raises `OSError`, with the last line that it printed, if it cannot be started, ends, or does not print `ready` in so many `seconds`.
    """

    def __init__(self, command: Sequence[str], output: Path, ready: str, seconds: float) -> None:
        with output.open("wb") as file:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=file, stderr=file)
        deadline = time.monotonic() + seconds
        while True:
            # In this order: one that ends at once has printed all by then.
            code = self._process.poll()
            text = output.read_text(errors="replace")
            if ready in text:
                return
            last = text.strip().rpartition("\n")[2]
            if code is not None:
                raise OSError(last or f"{command[0]} ended with code {code} and printed nothing")
            if time.monotonic() > deadline:
                self.close(0)
                raise OSError(f"not ready within {seconds:.0f} s{': ' if last else ''}{last}")
            time.sleep(LOOK)

    def close(self, seconds: float) -> None:
        """Asks it to end, and kills it if it has not ended after so many seconds."""
        self._process.terminate()
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
