"""`sagapost demo`: the main job on real input, from nothing to verified webhooks."""

from cli.demo.command import register

__all__ = ["register"]
