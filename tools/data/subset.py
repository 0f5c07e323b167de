"""The command ``tevit-vis data subset``, for a checkout."""

from tevit_vis.cli import run_command

if __name__ == '__main__':
    run_command('data subset')
