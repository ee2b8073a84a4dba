"""`python -m darling_service.cli`: the same as the command `darling-reward`."""

import sys

from darling_service.cli.main import main

sys.exit(main())
