"""A driver that needs a package beside the standard library."""

from __future__ import annotations

import tiny_engine

from crossrun_engine import Driver, Result, RunContext, Spec, Workload, serve
from serial import Serial


class Provisioned(Driver):
    """Runs serially, and says which version of its engine it found."""

    def run(self, spec: Spec, workload: Workload, context: RunContext) -> Result:
        result = Serial(spec, workload).run()
        result.metrics["versions"] = {"tiny_engine": tiny_engine.__version__}
        return result


if __name__ == "__main__":
    serve(Provisioned())
