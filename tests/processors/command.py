"""The command `darling-reward` on a pretended processor."""

import sys

from darling_service.cli.main import main
from tests.processors.pretence import pretend

pretend()
sys.exit(main())
