"""`python -m case_monitor` is `case-monitor`."""

from case_monitor.cli.supervision import main

if __name__ == "__main__":
    main()
