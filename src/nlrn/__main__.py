"""``python -m nlrn``"""

import sys

from nlrn.cli import main

sys.exit(main())
