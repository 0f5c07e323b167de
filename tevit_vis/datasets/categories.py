"""Category tables of the public data sets: name -> (category id, class name) in label order."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from mmdet.datasets import CocoDataset

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

# SeqFormer uses the category id as the label: classes 0 to 41, of which 0 and 41 do not exist.
YTVIS2019_BY_ID = ('unused_0', *YTVIS2019, 'unused_41')

# YouTube-VIS 2022 kept the categories of 2021.
CLASS_NAMES = {
    'ytvis2019': YTVIS2019,
    'ytvis2019_by_id': YTVIS2019_BY_ID,
    'ytvis2021': YTVIS2021,
    'ytvis2022': YTVIS2021,
    'ovis': OVIS,
    'coco': CocoDataset.CLASSES,
}
# Ids that COCO's labels skip.
COCO_GAPS = (12, 26, 29, 30, 45, 66, 68, 69, 71, 83)


def category_table(name: str) -> dict[int, str]:
    """Returns the categories of a public data set as {category id: class name}, in label order.

    Raises:
        ValueError: there is no table of that name.

    Example:
        >>> list(category_table('ovis').items())[:2]
        [(1, 'Person'), (2, 'Bird')]
    """
    if name not in CLASS_NAMES:
        raise ValueError(f'categories must be one of {sorted(CLASS_NAMES)}, but got {name!r}')
    if name == 'coco':
        ids = (number for number in range(1, 91) if number not in COCO_GAPS)
        return dict(zip(ids, CLASS_NAMES[name]))
    first_id = 0 if name == 'ytvis2019_by_id' else 1  # ids count from 1
    return dict(enumerate(CLASS_NAMES[name], start=first_id))


def choose_categories(
    content: Mapping[str, Any], path: str, name: str | None, must_agree: bool
) -> dict[int, str]:
    """Returns the categories of the named table, or else of the file, in label order.

    Args:
        content: of an annotation file.
        path: names the file in errors.
        name: of a table in ``CLASS_NAMES``, or None for the categories of the file.
        must_agree: whether a file whose categories contradict the table is an error; otherwise
            only a warning is logged.

    Returns:
        {category id: class name}.

    Raises:
        InputError: there is no table of that name, or the file's categories break the layout or
            contradict the table.

    Example:
        >>> choose_categories(
        ...     {'categories': [{'id': 7, 'name': 'cat'}]}, 'a.json', None, must_agree=True
        ... )
        {7: 'cat'}
    """
    file_table = file_categories(content, path)
    if name is None:
        if not file_table:
            raise InputError(
                f'{path}: "categories" must not be empty when the config names none '
                '(data.<split>.categories)'
            )
        return file_table
    try:
        table = category_table(name)
    except ValueError as error:
        raise InputError(f'data.<split>.{error}') from None
    if file_table and file_table != table and set(file_table.values()) == set(table.values()):
        # The same names under other ids: the file's ids, in the order of the table's labels.
        logger.warning('%s: its category ids are not those of %s: names decide', path, name)
        id_of_name = {text: category for category, text in file_table.items()}
        return {id_of_name[text]: text for text in table.values()}
    differing = [category for category in file_table if table.get(category) != file_table[category]]
    if differing and must_agree:
        raise InputError(
            f'{path}: category {differing[0]} ({file_table[differing[0]]}) must be that of {name}, '
            f'{table.get(differing[0])}, since data.train.categories is {name}: set it to None to '
            'take the categories of the file'
        )
    if differing:
        logger.warning(
            '%s: its categories are not those of %s, which the config names: '
            'category ids in the results will be those of %s',
            path,
            name,
            name,
        )
    return table
