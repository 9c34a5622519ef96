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
    best = next((diagnosis.backend for diagnosis in diagnoses if diagnosis.works), None)
    if as_json:
        click.echo(json.dumps([asdict(diagnosis) for diagnosis in diagnoses], indent=2))
        return 0 if best else 1
    for diagnosis in diagnoses:
        click.echo(f"{diagnosis.backend}: {'works' if diagnosis.works else 'does not work'}: {diagnosis.detail}")
        click.echo(f"    instead of root it needs: {diagnosis.rights}")
    click.echo(f"--backend auto takes {best} for a process of yours" if best else "no backend works here")
    return 0 if best else 1
