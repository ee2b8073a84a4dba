"""Groups that a person looks at: from a file, in the terminal, and on a page.

`group` is what is shown of a group, and `file` reads groups and has them classified. `terminal`
prints one for `darling-reward look`. For `darling-reward report`, `run` gathers what is shown of a
run, and `report` and `page` write it.
"""
