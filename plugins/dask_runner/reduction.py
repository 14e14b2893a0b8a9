"""The states of a keyed reduction on their way to being one for each partition."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

from crossrun_dask import Encoded
from crossrun_engine import State, Workload
from distributed import Client, Future

# How many states one task combines, twice what `dask.bag` takes: these are small.
FAN_IN = 16

# How many times states are combined on the workers before they are taken home.
LEVELS = 3


class Reduction:
    """A tree whose leaves are batches. Tasks combine so many states at a time, while others still fold.

    Dask keeps each task that led to a result that somebody wants, so as to be able to compute it again. So the tree has
    a bounded height: what comes out at its top is taken home, where there is one state for each partition, and Dask
    forgets all that is below. Only what has not come so far is computed again when a worker is lost.
    """

    def __init__(
        self,
        client: Client,
        fan_in: int,
        combine: Callable[[list[list[Future]]], list[Future]],
        workload: Workload,
        stage: int,
        partitions: int,
    ) -> None:
        self._client, self._fan_in, self._combine = client, max(2, min(FAN_IN, fan_in)), combine
        self._levels: list[list[Future]] = [[] for _ in range(LEVELS)]
        self._tops: set[Future] = set()
        self._home: list[State] = [workload.new_state(stage) for _ in range(partitions)]
        self._is_home = False

    def add(self, folded: Sequence[Future]) -> dict[Future, int]:
        """Takes in the states of batches. Says what to wait for, and for how many of the batches each stands."""
        waited: dict[Future, int] = {}
        rising = list(folded)
        for number, level in enumerate(self._levels):
            level.extend(rising)
            groups = [list(group) for group in zip(*[iter(level)] * self._fan_in)]
            del level[: len(groups) * self._fan_in]
            rising = self._combine(groups) if groups else []
            if number == 0:
                waited.update(dict.fromkeys(rising, self._fan_in))
        self._tops.update(rising)
        return dict.fromkeys(rising, 0) | waited

    def land(self, landed: list[Future]) -> None:
        """Takes home what has come to the top."""
        tops = self._tops.intersection(landed)
        if not tops:
            return
        self._tops -= tops
        for states in self._client.gather(list(tops)):
            self._is_home = True
            for state, encoded in zip(self._home, states):
                if encoded is not None:
                    state.merge(encoded)

    def rest(self) -> list[Future | list[Encoded]]:
        """What is still apart: at most some states of each level, and those at home."""
        apart: list[Future | list[Encoded]] = list(itertools.chain.from_iterable(self._levels))
        if self._is_home:
            apart.append([state.encode() for state in self._home])
        for state in self._home:
            state.close()
        return apart
