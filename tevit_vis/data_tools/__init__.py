"""What ``tevit-vis data`` and ``convert`` do: check a data set, split one, make a synthetic one."""
