"""``vadamon doctor``: which backends work here, and what would make the others work."""

import json
from dataclasses import asdict

import click


@click.command()
@click.option("--json", "as_json", is_flag=True, help="As JSON, for scripts.")
def doctor(as_json: bool) -> int:
    """Tell which backends work here, and for each that does not, why and what would make it work.

    Exits with 1 where none works.
    """
    from vadamon.doctor import diagnose

    diagnoses = diagnose()
    if as_json:
        click.echo(json.dumps([asdict(diagnosis) for diagnosis in diagnoses], indent=2))
    else:
        for diagnosis in diagnoses:
            click.echo(f"{diagnosis.backend}: {'works' if diagnosis.works else 'does not work'}: {diagnosis.detail}")
    return 0 if any(diagnosis.works for diagnosis in diagnoses) else 1
