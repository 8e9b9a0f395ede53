"""`python -m forethought`."""

from forethought.cli import main

main()
