"""Reward maths: pure functions on arrays, with no I/O and no model.

Reading order: `terms` (how a function says what it needs), `registry` (the names of all of them);
then `quality` (what the task says), `diversity` (how distinct a rollout is), `shaping` and
`objectives` (the two into one reward), `advantages` (what the policy gradient multiplies). Beyond
DARLING: `rarity`, `embedding_space`, `relevance`, `vector_policy`, `pass_at_k`, `set_advantage`,
`preference`.

Every sum over a group goes through `exact`, so no answer depends on the order of the rollouts.
"""
