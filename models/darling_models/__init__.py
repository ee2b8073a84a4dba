"""What is learned: equivalence classifiers behind one protocol, and partitions built from them.

Nothing in here knows HTTP. Start at `protocol`; `registry` loads a classifier by its name.
"""
