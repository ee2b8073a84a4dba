"""How many cores, replicas and how much memory a training run needs: `darling-reward size`.

`work` counts what a step is made of, `cost` says what that takes on a processor, `fleet` how many
of them do it in time. All three are pure functions. The coefficients come from a table of measured
processors (`processors`), or are measured where the command runs (`measure`, fitted by `fit`).
"""
