"""What is learned: equivalence classifiers behind one protocol, and partitions built from them.

It imports no web framework. Start at `protocol`; `registry` loads a classifier by its name.
"""
