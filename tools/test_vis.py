"""The command ``tevit-vis test``, for a checkout."""

from tevit_vis.cli import run_command

if __name__ == '__main__':
    run_command('test')
