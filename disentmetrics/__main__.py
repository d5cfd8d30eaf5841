"""``python -m disentmetrics`` is ``disentmetrics``."""

from disentmetrics.cli import main

if __name__ == "__main__":
    main()
