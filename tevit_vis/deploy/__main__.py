"""``python -m tevit_vis.deploy``: the command ``tevit-vis deploy``."""

if __name__ == '__main__':
    from tevit_vis.cli import run_command

    run_command('deploy')
