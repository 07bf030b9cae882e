"""The command ``schema``."""

from ihc_quant.cli.console import plainly, say_file


@plainly
def schema() -> None:
    """Print the JSON schema of report.json: every key, its type and what it means."""
    from ihc_quant.report.json_schema import schema_text

    say_file(schema_text().encode())
