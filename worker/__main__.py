"""`python -m worker`: the side door."""

import sys

from worker.imports import kept

if __name__ == "__main__":
    with kept():
        from worker.side_door import main
    sys.exit(main())
