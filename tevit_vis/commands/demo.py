"""Open a page of this machine on which a video is dropped, watched and downloaded.

The model is chosen as by "tevit-vis predict"; --exported takes a folder of "tevit-vis export"
instead, without torch. Only this machine reaches the page, unless --host names another address.
Videos are processed one after the other, in windows as by "tevit-vis stream", and deleted at the
end. Ctrl-C ends it.

Examples:
    tevit-vis demo
    tevit-vis demo --config synthetic/tevit_tiny --port 8000
    tevit-vis demo --exported exported --max-frames 100
"""

from __future__ import annotations

import argparse
import tempfile
import webbrowser
from pathlib import Path

from tevit_vis.commands.predict import add_choice_arguments
from tevit_vis.demo import DemoJobs, DemoOptions, DemoServer
from tevit_vis.outputs import VideoModel
from tevit_vis.utils.cli import positive
from tevit_vis.utils.errors import InputError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_choice_arguments(parser)
    parser.add_argument('--exported', metavar='FOLDER', help='exported model to take')
    parser.add_argument('--host', default='127.0.0.1', help='(default: %(default)s)')
    parser.add_argument('--port', type=int, default=7860, help='(default: %(default)s)')
    parser.add_argument(
        '--max-mb', type=positive, default=200, help='of a video (default: %(default)s)'
    )
    parser.add_argument(
        '--max-frames', type=positive, default=600, help='of a video (default: %(default)s)'
    )
    parser.add_argument('--open', action='store_true', help='open the page in the browser')


def run(args: argparse.Namespace) -> None:
    server = DemoServer(args.host, args.port)
    with tempfile.TemporaryDirectory(prefix='tevit_vis_demo_') as folder, server:
        options = DemoOptions(args.max_mb * 1_000_000, args.max_frames)
        jobs = DemoJobs(load(args), Path(folder), options)
        address = f'http://{args.host}:{server.server_port}'
        print(f'{address} (Ctrl-C ends it)', flush=True)
        if args.open:
            webbrowser.open(address)
        try:
            server.serve(jobs)
        except KeyboardInterrupt:
            print('ended')


def load(args: argparse.Namespace) -> VideoModel:
    """Loads the exported model, or the one of torch, that arguments name."""
    if args.exported:
        from tevit_vis.deploy import load_model

        for name in ('config', 'checkpoint', 'cfg_options', 'amp', 'compile', 'short_side'):
            if getattr(args, name):
                option = '--' + name.replace('_', '-')
                raise InputError(f'{option}: is of models of torch: leave it out with --exported')
        return load_model(args.exported, args.device or 'cpu')
    from tevit_vis.jobs.predict import load_chosen

    return load_chosen(args)
