"""Reward maths: pure functions on arrays, with no I/O and no model.

Reading order: `quality` (what the task says), `diversity` (how distinct a rollout is),
`shaping` (the two into one reward), `advantages` (what the policy gradient multiplies).

Every sum over a group goes through `exact`, so no answer depends on the order of the rollouts.
"""
