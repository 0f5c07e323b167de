"""Work dirs of trainings that were never run."""

import json

from tevit_vis.evaluation.tube_errors import ERRORS


def write_training(folder, seed, config='lr = 1', offset=0.0, name='small'):
    """Writes logs of 40 iterations with two validations; returns the folder."""
    (folder / 'val').mkdir(parents=True)
    lines = [
        dict(seed=seed, exp_name=name, config=f'{config}\nseed = {seed}\nwork_dir = "{folder}"')
    ]
    for step in range(5, 45, 5):
        loss = 2.0 / step + 0.01 * seed
        lines.append(dict(mode='train', epoch=1, iter=step, lr=0.1, loss=loss, time=0.5))
        if step % 20 == 0:
            score = step / 100 + offset + 0.02 * seed
            lines.append(dict(mode='val', epoch=1, iter=step, lr=0.1, segm_AP=score))
            report = dict(
                tracking=dict(HOTA=score, IDF1=score),
                errors=dict(delta_AP50=dict.fromkeys(ERRORS, 0.1 * score)),
            )
            (folder / 'val' / f'iter_{step}.report.json').write_text(json.dumps(report))
    (folder / '20260101_000000.log.json').write_text('\n'.join(map(json.dumps, lines)) + '\n')
    return folder
