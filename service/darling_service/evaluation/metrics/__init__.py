"""What one group of rollouts is worth: pure functions on arrays and texts, no I/O and no model.

`success` (pass@k and its kin), `classes` (what a partition says), `wording` (n-grams), `self_bleu`,
`spectrum` (kernels and embeddings). Their intervals: `darling_models.figures.intervals`.
"""
