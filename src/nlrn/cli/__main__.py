"""``python -m nlrn.cli``"""

import sys

from nlrn.cli import main

sys.exit(main())
