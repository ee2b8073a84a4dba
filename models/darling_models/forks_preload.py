"""What the process that is forked imports first: from then on it ignores stop signals.

Its forks do not ignore SIGTERM unless they choose to: whoever started one may end it.
"""

import os
import signal

from darling_models.forks import STOPS

for stop in STOPS:
    signal.signal(stop, signal.SIG_IGN)
os.register_at_fork(after_in_child=lambda: signal.signal(signal.SIGTERM, signal.SIG_DFL))
signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)
