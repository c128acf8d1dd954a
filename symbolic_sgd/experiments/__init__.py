"""The poster's last panel, computed."""

from symbolic_sgd.rooms import door

__getattr__ = door(__name__)
