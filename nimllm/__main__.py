"""``python -m nimllm``."""

import sys

from nimllm.cli import main

if __name__ == "__main__":
    sys.exit(main())
