"""What the format has and this version cannot do is refused before the run, with its line."""

from __future__ import annotations

import pytest

from ccci import yaml_file
from ccci.errors import UsageError
from ccci.plan.recipe_settings import settings_of

API_MARKER = "marker: {kind: api, seed: a.yml, check: b.yml, destroy: c.yml}\n"


def test_it_is_refused_with_file_and_line():
    with pytest.raises(UsageError, match=r"recipe.yml:1.*kind api"):
        settings_of(yaml_file.parse(API_MARKER, "recipe.yml"))
