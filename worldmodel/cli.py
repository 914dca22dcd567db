"""The ``firstplay`` sub-commands of this layer."""

from __future__ import annotations

import typer

from worldmodel.model_cli import register_worldmodel
from worldmodel.world_cli import register_world


def register(app: typer.Typer) -> None:
    """Add this layer's commands to ``app``."""
    register_world(app)
    register_worldmodel(app)
