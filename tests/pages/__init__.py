"""Follows the documentation as a reader does: runs its snippets and compares what they print.

`fences` reads a page, `reader` runs its snippets, `untried` names the commands that no test runs
and what is checked of them instead, `printed` compares. `python -m tests.pages` writes what the
snippets print now into the pages.
"""
