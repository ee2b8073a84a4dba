"""Prints the Serve config file of the application, for `serve deploy` and KubeRay.

python -m darling_service.cluster.serve_config --workers 4 --worker-cpus 2 > serve.yaml
"""

import argparse
import sys
from collections.abc import Sequence
from typing import Any

import yaml

from darling_service.cli.settings_flags import add_settings, is_secret, read_settings
from darling_service.cluster.application import NAME
from darling_service.cluster.run import KEEP_ALIVE_S
from darling_service.settings import Settings

OF_COMMAND = frozenset({"engine", "ray_address", "host", "port"})
"""Settings that the application itself does not read."""


def serve_config(settings: Settings) -> dict[str, Any]:
    """The config file as an object: settings that were set are the application's `args`.

    Raises `ValueError` if one of them is a secret or a URL with a password, which has to come from
    the environment of the cluster's nodes instead, as `DARLING_API_KEYS_FILE` does.
    """
    set_ones = settings.model_dump(mode="json", exclude_unset=True)
    if secret := sorted(name for name, value in set_ones.items() if is_secret(name, value)):
        raise ValueError(
            f"{secret[0]} would stand in the config file; set DARLING_{secret[0].upper()} in the "
            "environment of the cluster's nodes, or name a file"
        )
    return {
        "proxy_location": "EveryNode",
        "http_options": {
            "host": settings.host,
            "port": settings.port,
            "keep_alive_timeout_s": KEEP_ALIVE_S,
        },
        "applications": [
            {
                "name": NAME,
                "route_prefix": "/",
                "import_path": "darling_service.cluster.application:build",
                "args": {k: v for k, v in set_ones.items() if k not in OF_COMMAND},
            }
        ],
    }


def main(words: Sequence[str] | None = None) -> int:
    """Takes the flags of `darling-reward serve`; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m darling_service.cluster.serve_config", description=__doc__
    )
    add_settings(parser, server=True)
    try:
        config = serve_config(read_settings(parser.parse_args(words)))
    except ValueError as fault:
        print(f"serve_config: {fault}", file=sys.stderr)
        return 2
    yaml.safe_dump(config, sys.stdout, sort_keys=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
