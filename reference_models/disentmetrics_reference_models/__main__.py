"""``python -m disentmetrics_reference_models --help``: all methods with their papers."""

import argparse

from disentmetrics_reference_models.training.registry import find_methods


def main() -> None:
    """Print all methods with their papers."""
    lines = "\n".join(f"  {m.name:<20}{m.summary}\n{'':<22}{m.paper}" for m in find_methods().values())
    parser = argparse.ArgumentParser(
        prog="python -m disentmetrics_reference_models",
        description=f"Reference trainers. Train a model with: disentmetrics train METHOD --data DATASET\n\n{lines}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.parse_args()
    parser.print_help()


if __name__ == "__main__":
    main()
