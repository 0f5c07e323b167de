"""To be imported before torch, mmcv or mmdet: says in one line what of them is missing or unfit."""

from tevit_vis.utils.versions import check_versions

check_versions()
import tevit_vis.utils.compat  # noqa: E402, F401  (raises what keeps them from being imported)
