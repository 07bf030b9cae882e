"""The command ``schema``."""

from ihc_quant.cli.console import plainly, say_json


@plainly
def schema() -> None:
    """Print the JSON schema of report.json: every key, its type and what it means."""
    from ihc_quant.report.json_schema import report_schema

    say_json(report_schema())
