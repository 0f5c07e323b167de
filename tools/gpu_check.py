"""The command ``tevit-vis gpu-check``, for a checkout."""

from tevit_vis.cli import run_command

if __name__ == '__main__':
    run_command('gpu-check')
