"""``python -m tevit_vis``: the command ``tevit-vis``."""

from tevit_vis.cli import main

if __name__ == '__main__':
    main()
