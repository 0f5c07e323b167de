"""The subcommands of ``tevit-vis``, a module each: what can be typed. See ``tevit_vis/cli.py``."""
