"""``python -m costlab`` is the ``costlab`` command."""

from costlab.cli import main

main()
