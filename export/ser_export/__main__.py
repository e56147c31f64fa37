"""`python -m ser_export` is `ser-export`."""

from ser_export.cli import main

if __name__ == "__main__":
    main()
