"""What Ray reads from the environment. It does so when it is imported, so this comes first and does not import it."""

from __future__ import annotations

import os
import secrets


def prepare(address: str | None) -> None:
    """Sets what this backend wants of Ray, unless the user has said otherwise.

    A session of our own listens on loopback only, without encryption. It runs the code of whoever may connect, and
    loopback is everybody's on this machine. So it asks for a token, new each time and only in the environment: left to
    itself, Ray would write one to a file in the home folder. On a cluster that already runs, its owner has decided.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # Else Ray would start its workers by the command line of `uv run`, if crossrun was started by that.
    os.environ["RAY_ENABLE_UV_RUN_RUNTIME_ENV"] = "0"
    if address is None:
        os.environ["RAY_USE_TLS"] = "0"
        os.environ.setdefault("RAY_AUTH_MODE", "token")
        if "RAY_AUTH_TOKEN_PATH" not in os.environ:
            os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
        # Named after the systems on which this is Ray's default: whether nodes are for other machines too.
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    elif not {"RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"} & os.environ.keys():
        os.environ.setdefault("RAY_AUTH_MODE", "disabled")
