"""`sagapost tour`: all 41 types of events, each from a workflow in which it really happens."""

from cli.tour.command import register

__all__ = ["register"]
