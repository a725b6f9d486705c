"""``python -m costlab.cli``."""

from costlab.cli import main

main()
