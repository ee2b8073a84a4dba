"""Stored requests with stored answers: that a change of the code changes no reward.

`requests.jsonl` has one entry a line, sent in the order of the file:

    {"name": "...", "path": "/v1/rewards", "body": {...}}
    {"name": "...", "path": "/v1/rollouts", "bodies": [{...}, {...}]}

`bodies` are members of one group, sent at the same time. All are POSTs. They go to a service with
the default model, whose requests may also name `ngram`, `unigram` or `exact`; with
`"server": "answers"` to one of `SERVERS`. Names of runs and groups must be an entry's own, since a
service remembers both. Members without a `member_id` are numbered as they arrive: no `greedy`
linkage there.

To add a request: append its line, then `python -m tests.stored record` and look at the line that
`answers.jsonl` got. To see whether a commit changes any bit, on one machine:

    python -m tests.stored record --out before.jsonl     # at the one commit
    python -m tests.stored record --out after.jsonl      # at the other
    python -m tests.stored compare before.jsonl after.jsonl

To accept a wanted change, delete the lines of the changed entries from `answers.jsonl` and record.
"""
