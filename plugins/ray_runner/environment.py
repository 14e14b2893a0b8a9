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
    wanted = {"RAY_USAGE_STATS_ENABLED": "0"}
    # Else Ray would start its workers by the command line of `uv run`, if crossrun was started by that.
    os.environ["RAY_ENABLE_UV_RUN_RUNTIME_ENV"] = "0"
    has_token = os.environ.get("RAY_AUTH_TOKEN") or os.environ.get("RAY_AUTH_TOKEN_PATH")
    if address is None:
        os.environ["RAY_USE_TLS"] = "0"
        # The second is named after the systems on which it is Ray's default: whether nodes are for other machines too.
        wanted |= {"RAY_AUTH_MODE": "token", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
    if not has_token:
        wanted |= {"RAY_AUTH_TOKEN": secrets.token_hex(32)} if address is None else {"RAY_AUTH_MODE": "disabled"}
    # What is empty was not said.
    os.environ.update({name: value for name, value in wanted.items() if not os.environ.get(name)})
