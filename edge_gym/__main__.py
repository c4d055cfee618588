"""`python -m edge_gym` is `edge-gym`."""

import sys

from edge_gym.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
