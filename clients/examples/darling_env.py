"""An environment for verifiers from 0.4 on: any taskset, with quality shaped by diversity.

Put this file on Python's path, set the environment variable `DARLING_URL` to the service, and run
`vf-eval TASKSET --env.id darling-env --env.n 8`. prime-rl takes it the same way.
"""

from darling_client.trainers.verifiers_v1 import DarlingEnv

__all__ = ["DarlingEnv"]
