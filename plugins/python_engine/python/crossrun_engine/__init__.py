"""What a crossrun driver in Python is written with.

A driver is a class that maps the stages of a workload onto an engine's own primitives:

    from crossrun_engine import Driver, serve

    class MyDriver(Driver):
        def run(self, spec, workload, context): ...

    if __name__ == "__main__":
        serve(MyDriver())

It moves opaque batches of bytes between the calls of `Workload`, and never looks inside them.
"""

from .driver import Driver, RunContext
from .failure import (
    CancelledError,
    EngineError,
    InvalidSpecError,
    UnavailableError,
    UnsupportedError,
    WorkloadError,
)
from .kernel import Stage, State, Workload, item_count
from .loop import serve
from .spec import Result, Session, Spec

__all__ = [
    "CancelledError",
    "Driver",
    "EngineError",
    "InvalidSpecError",
    "Result",
    "RunContext",
    "Session",
    "Spec",
    "Stage",
    "State",
    "UnavailableError",
    "UnsupportedError",
    "Workload",
    "WorkloadError",
    "item_count",
    "serve",
]
