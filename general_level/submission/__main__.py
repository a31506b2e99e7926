"""Prints the table of all finding codes as Markdown: ``python -m general_level.submission``."""

from general_level.submission.codes import RULES


def main() -> None:
    """Writes one line for each code."""
    print("| code | severity | what |")
    print("|---|---|---|")
    for code, rule in RULES.items():
        print(f"| {code.value} | {rule.severity.value} | {rule.title} |")


if __name__ == "__main__":
    main()
