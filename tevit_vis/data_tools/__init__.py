"""What the tools in ``tools/data`` do: check a data set, split one, make a synthetic one."""
