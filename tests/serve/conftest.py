"""One server for all that is asked here."""

import pytest
from asking import site


@pytest.fixture(scope="session")
def page():
    """With time enough on a loaded machine."""
    with site(seconds=60) as found:
        yield found
        assert found.told == []
