"""Groups that are made up: copies of labelled ones in other words around them, and new ones.

Nothing here holds a text of what classifiers are measured on (`tests/behaviours`,
`evaluation/data`).
"""
