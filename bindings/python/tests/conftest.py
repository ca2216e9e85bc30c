"""What every test has: the address of the test server and both front ends in one shape."""

import os

import pytest
import shapes

@pytest.fixture
def server():
    return os.environ["WSSTREAM_TEST_URL"]


@pytest.fixture(params=[shapes.Asyncio, shapes.Blocking], ids=["asyncio", "blocking"])
def api(request):
    return request.param()
