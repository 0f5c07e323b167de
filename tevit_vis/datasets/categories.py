"""Category tables of the public data sets: name -> (category id, class name) in label order."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from tevit_vis.annotated_videos import file_categories
from tevit_vis.utils.errors import InputError

logger = logging.getLogger(__name__)

YTVIS2019 = (
    'person',
    'giant_panda',
    'lizard',
    'parrot',
    'skateboard',
    'sedan',
    'ape',
    'dog',
    'snake',
    'monkey',
    'hand',
    'rabbit',
    'duck',
    'cat',
    'cow',
    'fish',
    'train',
    'horse',
    'turtle',
    'bear',
    'motorbike',
    'giraffe',
    'leopard',
    'fox',
    'deer',
    'owl',
    'surfboard',
    'airplane',
    'truck',
    'zebra',
    'tiger',
    'elephant',
    'snowboard',
    'boat',
    'shark',
    'mouse',
    'frog',
    'eagle',
    'earless_seal',
    'tennis_racket',
)
YTVIS2021 = (
    'airplane',
    'bear',
    'bird',
    'boat',
    'car',
    'cat',
    'cow',
    'deer',
    'dog',
    'duck',
    'earless_seal',
    'elephant',
    'fish',
    'flying_disc',
    'fox',
    'frog',
    'giant_panda',
    'giraffe',
    'horse',
    'leopard',
    'lizard',
    'monkey',
    'motorbike',
    'mouse',
    'parrot',
    'person',
    'rabbit',
    'shark',
    'skateboard',
    'snake',
    'snowboard',
    'squirrel',
    'surfboard',
    'tennis_racket',
    'tiger',
    'train',
    'truck',
    'turtle',
    'whale',
    'zebra',
)
OVIS = (
    'Person',
    'Bird',
    'Cat',
    'Dog',
    'Horse',
    'Sheep',
    'Cow',
    'Elephant',
    'Bear',
    'Zebra',
    'Giraffe',
    'Poultry',
    'Giant_panda',
    'Lizard',
    'Parrot',
    'Monkey',
    'Rabbit',
    'Tiger',
    'Fish',
    'Turtle',
    'Bicycle',
    'Motorcycle',
    'Airplane',
    'Boat',
    'Vehical',
)

# SeqFormer has a class for every category id from 0 to 41, of which 1 to 40 exist.
YTVIS2019_BY_ID = ('unused_0', *YTVIS2019, 'unused_41')

# YouTube-VIS 2022 kept the categories of 2021.
CLASS_NAMES = {
    'ytvis2019': YTVIS2019,
    'ytvis2019_by_id': YTVIS2019_BY_ID,
    'ytvis2021': YTVIS2021,
    'ytvis2022': YTVIS2021,
    'ovis': OVIS,
}


def category_table(name: str) -> dict[int, str]:
    """The categories of a public data set as {category id: class name}, in label order.

    Raises:
        ValueError: no such data set.
    """
    if name not in CLASS_NAMES:
        raise ValueError(f'categories must be one of {sorted(CLASS_NAMES)}, but got {name!r}')
    first = 0 if name == 'ytvis2019_by_id' else 1  # ids count from 1
    return dict(enumerate(CLASS_NAMES[name], start=first))


def choose_categories(
    content: Mapping[str, Any], path: str, name: str | None, must_agree: bool
) -> dict[int, str]:
    """{category id: class name} in label order: of the named table, or else of the file.

    Args:
        content: of an annotation file.
        path: names the file in errors.
        name: of a table, or None.
        must_agree: refuse a file whose categories contradict the table; else warn.

    Raises:
        InputError: no table of that name, or the file's categories break the layout.
    """
    own = file_categories(content, path)
    if name is None:
        if not own:
            raise InputError(
                f'{path}: "categories" must not be empty when the config names none '
                '(data.<split>.categories)'
            )
        return own
    try:
        table = category_table(name)
    except ValueError as error:
        raise InputError(f'data.<split>.{error}') from None
    if own and own != table and set(own.values()) == set(table.values()):
        # The same names under other ids: the file's ids, in the order of the table's labels.
        logger.warning('%s: its category ids are not those of %s: names decide', path, name)
        id_of = {text: category for category, text in own.items()}
        return {id_of[text]: text for text in table.values()}
    wrong = [category for category in own if table.get(category) != own[category]]
    if wrong and must_agree:
        raise InputError(
            f'{path}: category {wrong[0]} ({own[wrong[0]]}) must be that of {name}, '
            f'{table.get(wrong[0])}, which data.train.categories names: with None there, the '
            "file's own categories are taken"
        )
    if wrong:
        logger.warning(
            '%s: its categories are not those of %s, which the config names: '
            'category ids in the results will be those of %s',
            path,
            name,
            name,
        )
    return table
